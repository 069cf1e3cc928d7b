// SPDX-License-Identifier: Apache-2.0

package people

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
)

// Role is what a user is. The names are the incumbent's.
type Role string

// The roles.
const (
	Super         Role = "super"
	SecurityAdmin Role = "security_admin"
	Service       Role = "service"
	Edit          Role = "edit"
	Create        Role = "create"
	Browse        Role = "browse"
)

// Right is what a command needs.
type Right string

// The rights.
const (
	// Look is to see what there is. Own is to change one's own password and keys.
	Look Right = "look"
	Own  Right = "own"
	// Make is to add volumes, snapshots, hosts and exports; Change to change and remove
	// them, and to run Remote Copy.
	Make   Right = "create"
	Change Right = "change"
	// Force is to promote a copy without votes, or to give one up: what may lose data.
	Force Right = "force"
	// Maintain is to look after the array: to scrub, to verify.
	Maintain Right = "maintain"
	// Users is to change users, Audit to see who did what.
	Users Right = "users"
	Audit Right = "audit"
	// Domains is to change domains, and what is in them.
	Domains Right = "domains"
)

// roleRow is what a role is for, and its rights.
type roleRow struct {
	role  Role
	about string
	may   []Right
}

// roleTable is the one place that says who may do what, the mightiest first.
func roleTable() []roleRow {
	return []roleRow{
		{Super, "may do all", []Right{Look, Own, Make, Change, Force, Maintain, Users, Audit, Domains}},
		{SecurityAdmin, "looks after users and sees who did what", []Right{Look, Own, Users, Audit}},
		{Service, "looks after the array: scrub, verify", []Right{Look, Own, Maintain, Audit}},
		{Edit, "makes, changes and removes volumes, hosts, exports and groups", []Right{Look, Own, Make, Change, Maintain}},
		{Create, "makes volumes, snapshots, hosts and exports; changes and removes none", []Right{Look, Own, Make}},
		{Browse, "sees what there is", []Right{Look, Own}},
	}
}

// May reports whether a role has a right.
func (r Role) May(right Right) bool {
	for _, row := range roleTable() {
		if row.role == r {
			return slices.Contains(row.may, right)
		}
	}
	return false
}

// Roles returns the names of all roles and what each is for.
func Roles() (names []Role, about map[Role]string) {
	about = map[Role]string{}
	for _, row := range roleTable() {
		names = append(names, row.role)
		about[row.role] = row.about
	}
	return names, about
}

// Rights returns what a role may do.
func (r Role) Rights() []Right {
	for _, row := range roleTable() {
		if row.role == r {
			return row.may
		}
	}
	return nil
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	names, _ := Roles()
	if r := Role(s); slices.Contains(names, r) {
		return r, nil
	}
	known := make([]string, len(names))
	for i, n := range names {
		known[i] = string(n)
	}
	return "", array.Errorf(array.Invalid, "role %q: want %s", s, strings.Join(known, ", "))
}
