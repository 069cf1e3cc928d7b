// SPDX-License-Identifier: Apache-2.0

package people

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestARemovedUserStaysRemoved: he was changed on both arrays while they did not talk, and each refuses
// the other's change; then one removes him.
func TestARemovedUserStaysRemoved(t *testing.T) {
	paired := func() bool { return true }
	a, b := open(t, Options{Paired: paired}), open(t, Options{Paired: paired})
	tell := func(from, to *Book) {
		t.Helper()
		all, err := from.Untold()
		ok(t, err)
		for _, c := range all {
			if to.Take(c, "there") == nil {
				ok(t, from.Told(c))
			}
		}
	}
	a.add(t, "ann", Edit, "correct horse")
	tell(a, b)
	a.alter(t, "ann", func(u *User) { u.Role = Browse })
	b.alter(t, "ann", func(u *User) { u.Role = Create })
	tell(a, b)
	tell(b, a)
	u, err := a.User("ann")
	ok(t, err)
	_, err = a.Make(UserChange{Name: "ann", Was: &u})
	ok(t, err)
	tell(a, b)
	tell(b, a)
	tell(a, b)
	for _, x := range []*Book{a, b} {
		_, err := x.User("ann")
		is(t, err, array.NotFound)
	}
}
