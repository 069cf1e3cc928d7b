// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// TestRefusedInTheMiddleOfASet: a volume that the other array refuses when the group has its first one
// already: no volume is in the group, and all are what they were.
func TestRefusedInTheMiddleOfASet(t *testing.T) {
	t.Parallel()
	var a, b *testArray
	var refuse atomic.Bool
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if refuse.Load() {
					if f, err := a.Group("g"); err == nil && len(f.VVs) > 0 && refuse.CompareAndSwap(true, false) {
						b.run("createvv", "cpg0", "w", "16m") // another volume of that name
					}
				}
				return ask()
			}
		}
	})
	a, b = as[0], as[1]
	a.inUse("u")
	a.run("createvv", "cpg0", "v", "64m")
	a.run("createvv", "cpg0", "w", "64m")
	a.run("createvvset", "s", "u", "v", "w")
	a.run("creatercopygroup", "g", "array-b:sync")
	for _, c := range []string{"admitrcopyvv -createvv set:s g", "protectvvset s g array-b:sync"} {
		refuse.Store(true)
		a.refuses("w", strings.Fields(c)...)
		if f, err := a.Group("g"); err == nil && len(f.VVs) > 0 || c[0] == 'p' && err == nil || refuse.Load() {
			t.Errorf("%s was refused, and the group has %v", c, f.VVs)
		}
		for _, v := range []string{"u", "v", "w"} {
			if _, g, err := a.vv(v); err != nil || !g.Private {
				t.Errorf("%s was refused, and volume %s is in group %s: %v", c, v, g.Name, err)
			}
		}
		a.has("u", 0, []byte("before"))
		if !a.kept() {
			t.Error("something is left to do")
		}
		b.run("removevv", "-f", "w")
		if c[0] == 'a' {
			a.run("removercopygroup", "-f", "g")
		}
	}
}

// TestTakenBackOverADeath: an array that dies while it takes back what is refused of a set's
// protection goes on with that, and not with the protection.
func TestTakenBackOverADeath(t *testing.T) {
	t.Parallel()
	var a *testArray
	var pledged atomic.Value // of the command that is given
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
			if ctx.Value(stoppable{}) != nil {
				if err := a.store.View(func(t *store.Tx) error {
					return tables.pledges.Each(t, func(_ string, p pledge) error { pledged.Store(p); return nil })
				}); err != nil {
					return nil, err
				}
			}
			return ask()
		}
	})
	a = as[0]
	a.inUse("v")
	a.run("createvv", "cpg0", "w", "64m")
	a.write("w", 0, []byte("w"))
	a.run("createvvset", "s", "v", "w")
	for _, c := range []string{"protectvvset -wait s g array-b:sync", "admitrcopyvv -createvv -wait set:s g"} {
		if c[0] == 'a' {
			a.run("creatercopygroup", "g", "array-b:sync")
		}
		if _, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), strings.Fields(c)); err != nil {
			t.Fatal(err)
		}
		p, _ := pledged.Load().(pledge)
		if len(p.Undo) < 2 {
			t.Fatalf("%s: nothing would be taken back: %+v", c, p)
		}
		p.Steps, p.Undo = p.Undo, nil // as it is stored before something is
		if err := a.store.Update(func(t *store.Tx) error { return p.put(t) }); err != nil {
			t.Fatal(err)
		}
		a.Close()
		a.open()
		a.until("it to be taken back", func() bool {
			f, err := a.Group("g")
			return a.kept() && (err != nil || c[0] == 'a' && len(f.VVs) == 0)
		})
		for _, o := range as {
			o.until("both to have no such volumes in groups", func() bool {
				f, err := o.Group("g")
				return err != nil || len(f.VVs) == 0
			})
		}
		a.has("v", 0, []byte("before"))
		a.has("w", 0, []byte("w"))
	}
}

// TestWhatIsUndoneByHandStaysUndone: a set's admission that was interrupted goes on with what is
// left of it. A volume that is in the group, and that a person takes out again while the other
// array is away, is not admitted again.
func TestWhatIsUndoneByHandStaysUndone(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, quick)
	a, b := as[0], as[1]
	for _, v := range []string{"v", "w"} {
		a.run("createvv", "cpg0", v, "64m")
		a.write(v, 0, []byte(v))
	}
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	p := pledge{By: Caller{User: people.Local, Grants: people.Grants{Role: people.Super}, Over: "socket"}, Text: "admitrcopyvv -createvv set:s g", Steps: intoGroup([]string{"v", "w"}, "g")}
	if err := a.store.Update(func(t *store.Tx) error { return p.put(t) }); err != nil {
		t.Fatal(err)
	}
	b.Close()
	a.until("the other array to be missed", func() bool { return !a.reachable() })
	left, err := a.keepNow(t.Context(), p)
	if err == nil || left == nil || len(left.Steps) != 1 || left.Steps[0][2] != "w" {
		t.Fatalf("left is %+v, %v; want the admission of w", left, err)
	}
	b.open()
	a.until("the other array to be back", func() bool { return a.reachable() && b.reachable() })
	a.run("dismissrcopyvv", "-f", "-keepvv", "-wait", "v", "g")
	if left, err = a.keepNow(t.Context(), *left); left != nil || err != nil {
		t.Fatalf("left is %+v, %v; want nothing", left, err)
	}
	f, err := a.Group("g")
	if err != nil || len(f.VVs) != 1 || f.VVs[0].Name != "w" {
		t.Errorf("the group has %+v, %v; want w", f.VVs, err)
	}
}

// TestAVolumeInAnotherGroupMeanwhile: what a person put elsewhere stays there, and what was done is
// taken back.
func TestAVolumeInAnotherGroupMeanwhile(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, quick)[0]
	a.run("createvv", "cpg0", "v", "64m")
	for _, g := range []string{"g", "h"} {
		a.run("creatercopygroup", g, "array-b:sync")
	}
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "h")
	p := pledge{By: Caller{User: people.Local, Grants: people.Grants{Role: people.Super}, Over: "socket"}, Text: "admitrcopyvv -createvv set:s g", Steps: intoGroup([]string{"v"}, "g"), Undo: [][]string{{"removercopygroup", "-f", "g"}}}
	if err := a.store.Update(func(t *store.Tx) error { return p.put(t) }); err != nil {
		t.Fatal(err)
	}
	left, err := a.keepNow(t.Context(), p)
	if err == nil || left == nil || !left.Back {
		t.Fatalf("left is %+v, %v; want that it is taken back", left, err)
	}
	if left, err = a.keepNow(t.Context(), *left); left != nil || err != nil {
		t.Errorf("left is %+v, %v; want nothing", left, err)
	}
	if _, err := a.Group("g"); err == nil {
		t.Error("group g is there")
	}
}
