// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"time"

	"github.com/perdure/perdure/internal/people"
)

// People knows who may do what; *people.Book does.
type People interface {
	// Login begins a session. The error's kind is array.Denied for a bad name or password.
	Login(user, password, from string, now time.Time) (people.Session, error)
	// Session returns the session of a key; being asked keeps it alive.
	Session(key string, now time.Time) (people.Session, error)
	Logout(key string)
	// Users returns all who may log in, Sessions those who have.
	Users() ([]people.User, error)
	Sessions(now time.Time) []people.Session
	// Lockouts returns those whose passwords are not tried for a while.
	Lockouts(now time.Time) []people.Lockout
}
