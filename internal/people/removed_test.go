// SPDX-License-Identifier: Apache-2.0

package people

import (
	"fmt"
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
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

// TestAChangeThatWasOnItsWay comes when the user was removed, and both arrays know of that.
func TestAChangeThatWasOnItsWay(t *testing.T) {
	paired := func() bool { return true }
	a, b := open(t, Options{Paired: paired}), open(t, Options{Paired: paired})
	a.add(t, "ann", Edit, "correct horse")
	tell := func(from, to *Book) {
		t.Helper()
		all, err := from.Untold()
		ok(t, err)
		for _, c := range all {
			ok(t, to.Take(c, "there"))
			ok(t, from.Told(c))
		}
	}
	tell(a, b)
	b.alter(t, "ann", func(u *User) { u.Role = Browse })
	late, err := b.Untold()
	ok(t, err)
	u, err := a.User("ann")
	ok(t, err)
	_, err = a.Make(UserChange{Name: "ann", Was: &u})
	ok(t, err)
	tell(a, b)
	ok(t, a.Take(late[0], "a"))
	ok(t, b.Told(late[0]))
	for _, x := range []*Book{a, b} {
		_, err := x.User("ann")
		is(t, err, array.NotFound)
		if c, err := x.StillUntold("ann"); c != nil || err != nil {
			t.Errorf("untold: %+v, %v", c, err)
		}
	}
	// Another one may have the name.
	b.add(t, "ann", Create, "another horse")
	b.alter(t, "ann", func(u *User) { u.Role = Browse })
	tell(b, a)
	u, err = a.User("ann")
	ok(t, err)
	if u.Role != Browse {
		t.Errorf("the new one is %+v", u)
	}
	b.alter(t, "ann", func(u *User) { u.Role = Edit })
	tell(b, a)
	if u, err = a.User("ann"); err != nil || u.Role != Edit {
		t.Errorf("the new one is %+v, %v", u, err)
	}
}

// TestRemovedNamesAreBounded: the oldest is forgotten first.
func TestRemovedNamesAreBounded(t *testing.T) {
	b := open(t, Options{})
	ok(t, b.store.Update(func(t *store.Tx) error {
		for i := range maxRemoved + 2 {
			if err := bury(t, fmt.Sprint("u", i)); err != nil {
				return err
			}
		}
		return nil
	}))
	var names []string
	ok(t, b.store.View(func(t *store.Tx) error {
		return tables.removed.EachKey(t, func(name string) bool { names = append(names, name); return true })
	}))
	if len(names) != maxRemoved || slices.Contains(names, "u0") || slices.Contains(names, "u1") {
		t.Errorf("%d names, with the oldest: %v", len(names), slices.Contains(names, "u1"))
	}
}

// TestMadeAgainWhileTheRemovalWasNotAnswered: the other array, which removed the user, makes it again.
func TestMadeAgainWhileTheRemovalWasNotAnswered(t *testing.T) {
	paired := func() bool { return true }
	a, b := open(t, Options{Paired: paired}), open(t, Options{Paired: paired})
	tell := func(answered bool) {
		t.Helper()
		all, err := a.Untold()
		ok(t, err)
		for _, c := range all {
			ok(t, b.Take(c, "there"))
			if answered {
				ok(t, a.Told(c))
			}
		}
	}
	a.add(t, "ann", Edit, "correct horse")
	tell(true)
	u, err := a.User("ann")
	ok(t, err)
	_, err = a.Make(UserChange{Name: "ann", Was: &u})
	ok(t, err)
	tell(false) // carried out there; the answer is lost
	a.add(t, "ann", Edit, "another horse")
	tell(true)
	if _, err := b.User("ann"); err != nil {
		t.Errorf("told of a user: %v", err)
	}
	a.alter(t, "ann", func(u *User) { u.Role = Browse })
	tell(true)
	if u, err := b.User("ann"); err != nil || u.Role != Browse {
		t.Errorf("told of another change: %+v, %v", u, err)
	}
}
