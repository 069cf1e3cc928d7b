// SPDX-License-Identifier: Apache-2.0

package rest

import "context"

// Right is what a route asks of whoever calls it.
type Right string

// The rights.
const (
	Look   Right = "look"   // at everything
	Create Right = "create" // volumes, hosts, exports, snapshots
	Edit   Right = "edit"   // change and remove them, and Remote Copy groups
	Admin  Right = "admin"  // see who else there is
)

// People knows who may do what.
type People interface {
	// Login returns the key of a new session. The error's kind is array.Denied for a bad
	// name or password, array.Full if there are too many sessions.
	Login(ctx context.Context, user, password, from string) (key string, err error)
	// Session returns whose session it is; being asked keeps it alive.
	Session(key string) (Who, error)
	// Logout ends one.
	Logout(key string) error
	// Users returns all who may log in.
	Users() ([]User, error)
}

// Who is somebody with a session.
type Who struct {
	User, Role string
	May        func(Right) bool
}

// User is somebody who may log in.
type User struct{ Name, Role string }
