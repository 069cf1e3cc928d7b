// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/store"
)

// nobodyLost wants each user to be in domains that there are.
func (a *testArray) nobodyLost() {
	a.t.Helper()
	users, err := a.people.Users()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, u := range users {
		for _, p := range u.Domains {
			if err := a.hasDomain(p.Domain); err != nil {
				a.t.Errorf("%s: user %s: %v", a.cfg.Name, u.Name, err)
			}
		}
	}
}

// TestADomainIsRenamedWithItsUsers, at one moment on each array; where the other array refuses it,
// domain and users keep the name.
func TestADomainIsRenamedWithItsUsers(t *testing.T) {
	t.Parallel()
	var a, b *testArray
	asked, refuse := false, false
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if ctx.Value(stoppable{}) == nil {
					return ask()
				}
				asked = true
				if refuse { // it was changed there meanwhile
					if err := b.store.Update(func(t *store.Tx) error {
						return tables.domains.Put(t, "e", Domain{Name: "e", Comment: "other", entry: entry{Version: 1000, Change: 1}})
					}); err != nil {
						return nil, err
					}
				}
				a.nobodyLost()
				b.nobodyLost()
				out, err := ask()
				a.nobodyLost()
				b.nobodyLost()
				return out, err
			}
		}
	})
	a, b = as[0], as[1]
	a.run("createdomain", "d")
	for _, u := range []string{"u1", "u2", "u3"} {
		a.run("createuser", "-c", "secret12345", u, "d", "edit")
	}
	named := func(want string) bool {
		for _, o := range as {
			for _, u := range []string{"u1", "u2", "u3"} {
				got, err := o.people.User(u)
				if err != nil || !got.In(want) || len(got.Domains) != 1 {
					return false
				}
			}
			if o.hasDomain(want) != nil {
				return false
			}
		}
		return true
	}
	rename := func(old, name string) error {
		_, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), []string{"setdomain", "-name", name, old})
		return err
	}
	if err := rename("d", "e"); err != nil || !asked || !named("e") {
		t.Errorf("the arrays do not have the new name at once: %v", err)
	}
	refuse = true
	if err := rename("e", "f"); err == nil || !strings.Contains(err.Error(), "domain e was changed on array array-b meanwhile") {
		t.Errorf("refused by the other array: %v", err)
	}
	a.nobodyLost()
	// Arrays that lost each other for a moment tell each other all they know, the refused name too.
	a.until("no refused name to be left", func() bool { return named("e") && a.hasDomain("f") != nil && b.hasDomain("f") != nil })
}

// TestARenameInParts: the other array hears of the first part of what a domain's new name moves, not of
// the last one, and then of something else: the former name does not come back for what it still has
// under that.
func TestARenameInParts(t *testing.T) {
	t.Parallel()
	calls := 0 // of the command
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if ctx.Value(stoppable{}) == nil {
					return ask()
				}
				if calls++; calls == 2 {
					return nil, errCut
				}
				return ask()
			}
		}
	})
	a, b := as[0], as[1]
	if err := a.changeBook(t.Context(), func(x *bookOf) error {
		errs := []error{x.putDomain(Domain{Name: "old"}, false)}
		for i := range placingsAtOnce + 1 {
			errs = append(errs, x.place(keyOf(hostKind, fmt.Sprintf("x%d", i)), "old"))
		}
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	b.until("it to have all", func() bool { return b.placed() == a.placed() })
	if _, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), []string{"setdomain", "-name", "new", "old"}); err != nil || calls != 2 {
		t.Fatalf("%v after %d messages", err, calls)
	}
	a.run("createdomain", "other")
	b.until("it to have all", func() bool { return b.placed() == a.placed() })
	for _, o := range as {
		if o.hasDomain("old") == nil {
			t.Errorf("%s has domain old again", o.cfg.Name)
		}
	}
}
