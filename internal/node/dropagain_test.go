// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestDropCarriedOutLate: the other array is asked to drop its half of a group, does not answer, is told
// of the group anew, and only then comes to the drop: it keeps what it has.
func TestDropCarriedOutLate(t *testing.T) {
	t.Parallel()
	calls := 0 // of the command, which are one after another
	hook := func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
		if ctx.Value(stoppable{}) == nil {
			return ask()
		}
		if calls++; calls == 2 { // after the question whether it may be
			return nil, errCut
		}
		return ask()
	}
	all := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = hook
		}
	})
	a, b := all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), stoppable{}, true)
	if err := a.dropOnOther(ctx, r); !errors.Is(err, errCut) {
		t.Fatalf("the other array was not asked to drop it: %v", err)
	}
	newer := func() bool {
		there, err := b.describe(r.rec.ID)
		return err == nil && there.Group.newerThan(r.rec)
	}
	a.until("the other array to be told anew", newer)
	of := r.rec.edition()
	if err := b.dropTold(r.rec.ID, &of); err == nil || !newer() {
		t.Fatalf("the other array dropped what it was told of after it was asked to drop it: %v", err)
	}
	a.run("syncrcopy", "-w", "g")
}

// TestMarkedWhileTold: a group of which the other array is to be told again, because of what happens
// while it is being told of it, is told again.
func TestMarkedWhileTold(t *testing.T) {
	t.Parallel()
	type taken struct{}
	var marking atomic.Pointer[func()]
	told := make(chan taken, 64)
	all := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
				b, err := ask()
				if mark := marking.Load(); mark != nil {
					(*mark)()
					select {
					case told <- taken{}:
					default:
					}
				}
				return b, err
			}
		}
	})
	a := all[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	a.until("it to be told", func() bool { return !a.toTellAgain(r.rec.ID) })
	mark := sync.OnceFunc(func() { a.tellAgain(r.rec.ID) })
	marking.Store(&mark)
	a.tellAgain(r.rec.ID)
	for range 2 {
		select {
		case <-told:
		case <-time.After(time.Minute):
			t.Fatal("the other array is not told again of what happened while it was told")
		}
	}
}

// TestAVolumeAloneIsNotTold: the only volume of a group is taken out of it, in the moment in which the
// other array is about to be told of the group, which keeps its id: it is this array's alone, and the
// other one, to which that is told all the same, does not take it.
func TestAVolumeAloneIsNotTold(t *testing.T) {
	t.Parallel()
	all := openArrays(t, 2, quick)
	a, b := all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	id := a.stored("v").Group
	before, err := a.described(id)
	if err != nil {
		t.Fatal(err)
	}
	a.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
	if a.stored("v").Group != id {
		t.Fatal("the volume has another group now")
	}
	if _, err := a.push(t.Context(), id, true); !errors.Is(err, errChanging) {
		t.Errorf("a volume that array-a alone has was told of: %v", err)
	}
	d, err := a.described(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []request{{Take: &d}, {Check: &d}} {
		if _, err := a.ask(t.Context(), q); err == nil || !strings.Contains(err.Error(), "volume v is another array's alone: array array-b does not take it") {
			t.Errorf("array-b takes a volume of array-a alone: %v", err)
		}
	}
	if text, err := b.ask(t.Context(), request{Give: id}); err == nil {
		t.Errorf("it is given: %s", text)
	}
	before.Group.Name, before.VVs = "other", nil // what would be in the way, too
	if err := b.take(before, nil); err == nil || !strings.Contains(err.Error(), "group other was dropped on array array-b since it was so described") {
		t.Errorf("what was told before the volume was taken out is taken after it: %v", err)
	}
	before.Group.ID += 1000 // of which array-b never had anything
	if err := b.take(before, nil); err == nil || !strings.Contains(err.Error(), "but array array-b has nothing of it") {
		t.Errorf("an array without data is a member: %v", err)
	}
	if _, err := b.describe(id); err == nil {
		t.Error("array-b has the group")
	}
}
