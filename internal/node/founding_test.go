// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// failingKeep can't tell what a group was, as long as fails says so.
type failingKeep struct {
	group.Keep
	fails *atomic.Bool
}

func (k failingKeep) Get(g array.GroupID, name string) ([]byte, error) {
	if k.fails.Load() {
		return nil, errors.New("the disk can't be read")
	}
	return k.Keep.Get(g, name)
}

// TestFoundingRefusedLate: the other array has stored a new group and can't open it. Nothing
// is left of the group on either array, and the volumes are what they were.
func TestFoundingRefusedLate(t *testing.T) {
	t.Parallel()
	const web = "iqn.2026-01.org.example:web"
	var fails atomic.Bool
	var a, b *testArray
	arrays := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) {
				g.Keep = failingKeep{g.Keep, &fails}
				if n := a.sees(web); n != 0 && fails.Load() {
					t.Errorf("hosts see %d volumes that may be taken back", n)
				}
			}
		}
	})
	a, b = arrays[0], arrays[1]
	a.run("createhost", "web", web)
	a.run("createvv", "cpg0", "v0", "64")
	a.run("createvvset", "apps", "v0")
	fails.Store(true)
	a.refuses("the disk can't be read", "protectvvset", "-host", "web", "apps", "g", "array-b:sync")
	fails.Store(false)
	if text := b.run("showrcopy", "groups"); b.count("v0") != 0 || strings.Contains(text, "g ") || len(b.leftOut()) != 0 {
		t.Errorf("array-b has what was refused:\n%s", text)
	}
	a.write("v0", 0, filled(4096, 1))
	a.run("createvv", "cpg0", "v1", "64")
	a.run("createvvset", "more", "v1")
	a.run("protectvvset", "-wait", "-host", "web", "more", "g", "array-b:sync")
	if n := a.sees(web); n != 1 {
		t.Errorf("the host sees %d volumes", n)
	}
}

// TestFoundingTakenBackLater: the other array stores a group, can't open it, and does not
// hear that it is to drop it. It drops it when it hears.
func TestFoundingTakenBackLater(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	stop := &stopper{}
	arrays := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = stop.exchange
		} else {
			c.Groups = func(g *group.Config) { g.Keep = failingKeep{g.Keep, &fails} }
		}
	})
	a, b := arrays[0], arrays[1]
	fails.Store(true)
	stop.arm(4, loseRequest) // after what is asked before, Check and Take
	ctx := context.WithValue(t.Context(), stoppable{}, true)
	if _, err := a.Run(ctx, []string{"creatercopygroup", "g", "array-b:sync"}); err == nil || !stop.hit() {
		t.Fatalf("the group was made, or all was heard: %v", err)
	}
	fails.Store(false)
	left := func(x *testArray) (count int) {
		if err := x.store.View(func(t *store.Tx) error {
			return tables.groups.Each(t, func(string, RCGroup) error { count++; return nil })
		}); err != nil {
			t.Fatal(err)
		}
		return count
	}
	if left(a) != 0 {
		t.Error("array-a has the group that was refused")
	}
	b.until("the group to be gone", func() bool { return left(b) == 0 && len(b.leftOut()) == 0 })
	a.run("creatercopygroup", "g", "array-b:sync")
}

// TestRefusedToDrop: a group that the other array can't drop stays in sync, in one epoch.
func TestRefusedToDrop(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.fullGroup("sync")
	a.run("createsv", "-ro", "sv", "first")
	b.until("the snapshot to be there", func() bool { v, _, err := b.vv("sv"); return err == nil && !b.awaits(v) })
	b.run("createsv", "own", "sv")
	epoch := func() array.Epoch {
		i, err := a.infoOf(a.stored("first").Group)
		if err != nil || !i.Synced {
			t.Errorf("the group is not in sync: %v", err)
		}
		return i.View.Epoch
	}
	was := epoch()
	a.refuses("own on array array-b was made from snapshot sv", "removercopygroup", "-f", "-destroy", "g")
	if now := epoch(); now != was {
		t.Errorf("the group went from epoch %d to %d", was, now)
	}
	b.run("removevv", "-f", "own")
	a.run("removercopygroup", "-f", "-destroy", "g")
}

// TestOpenedLater: the other array has stored what a group is now and can't open it, because it has
// dropped its half: it opens it as soon as it can.
func TestOpenedLater(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	arrays := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-b" {
			c.Groups = func(g *group.Config) { g.Keep = failingKeep{g.Keep, &fails} }
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.leaveOther(r); err != nil {
		t.Fatal(err)
	}
	if err := b.dropGroup(r.rec.ID); err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	a.tellAgain(r.rec.ID)
	b.until("it not to be opened", func() bool { return len(b.leftOut()) == 1 })
	a.until("the cause to be told", func() bool { return len(a.told("the disk can't be read")) > 0 })
	fails.Store(false)
	a.run("startrcopygroup", "-wait", "g")
	a.until("the arrays to be in step", inStep(a, "g"))
	if out := b.leftOut(); len(out) != 0 {
		t.Errorf("left out: %v", out)
	}
}
