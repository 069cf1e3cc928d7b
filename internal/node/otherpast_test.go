// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// What the other array tells, or asked, in another past of a group.

// TestReadmitted: a volume that was taken out of a group can be admitted again, also where the group
// whose place it had taken had seen more changes of membership than it has.
func TestReadmitted(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, quick)[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	for range 4 {
		a.run("stoprcopygroup", "-f", "g")
		a.run("startrcopygroup", "-wait", "g")
	}
	a.inUse("v")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	a.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	a.run("syncrcopy", "-w", "g")
}

// TestLineagesKeepTheirVolumes: what only the copy of an array that was forced out has is there until a
// person chose: the other lineage's description, however new, is not taken up before.
func TestLineagesKeepTheirVolumes(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	b.Close()
	a.alone()
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "onlya", "g")
	a.write("onlya", 0, []byte("onlya"))
	a.Close()
	b.open()
	b.run("setrcopygroup", "failover", "-f", "g")
	b.alone()
	b.run("admitrcopyvv", "-createvv", "-size", "16m", "onlyb", "g")
	a.open()
	b.until("its description to be refused", func() bool { return len(b.told("a person must choose which copy stays")) > 0 })
	b.Close()
	a.until("the other array to be lost", func() bool { f, err := a.Group("g"); return err == nil && !f.Contact })
	a.run("setrcopygroup", "override", "-f", "g")
	a.alone()
	a.has("onlya", 0, []byte("onlya"))
	if _, _, err := a.vv("onlyb"); err == nil {
		t.Error("what only the other copy has is here")
	}
}

// TestALateDropOfAVolumeAlone: what the other array asked to drop long ago is this array's alone by now:
// it stays, also in the moment in which it is opened anew.
func TestALateDropOfAVolumeAlone(t *testing.T) {
	t.Parallel()
	all := openArrays(t, 2, nil)
	a, b := all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	id := a.stored("v").Group
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	b.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
	told, err := b.describe(id)
	if err != nil {
		t.Fatal(err)
	}
	of := told.Group.edition()
	for _, open := range []bool{true, false} {
		if !open {
			b.closeGroup(id)
		}
		if err := b.dropTold(id, &of); err == nil || !strings.Contains(err.Error(), "volume v is on array array-b alone") {
			t.Errorf("open %v: %v", open, err)
		}
		if d, err := b.describe(id); err != nil || len(d.VVs) != 1 {
			t.Fatalf("open %v: the only copy is gone: %v", open, err)
		}
	}
}

// TestDiscardBesideChanges: an array gives its copy up while the other one changes the group again and
// again: what it is told meanwhile opens nothing that is being removed.
func TestDiscardBesideChanges(t *testing.T) {
	t.Parallel()
	all := openArrays(t, 2, nil)
	a, b := all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	for i := range 3 {
		vv := fmt.Sprint("v", i)
		a.run("admitrcopyvv", "-createvv", "-size", "16m", vv, "g")
		a.write(vv, 0, []byte(vv))
	}
	a.run("startrcopygroup", "-wait", "g")
	a.run("stoprcopygroup", "-f", "g")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for k := 0; ctx.Err() == nil; k++ { // it may be refused
			_, _ = a.Run(t.Context(), []string{"setvv", "-comment", fmt.Sprint(k), "v0"})
			pause(ctx, time.Millisecond)
		}
	}()
	for range 5 {
		if _, err := b.Run(t.Context(), []string{"setrcopygroup", "discard", "-f", "g"}); err != nil {
			t.Log(err)
		}
	}
	stop()
	<-ended
	a.run("startrcopygroup", "-wait", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	for i := range 3 {
		b.has(fmt.Sprint("v", i), 0, []byte(fmt.Sprint("v", i)))
	}
}

// TestBeginsWithTheLaterRecord: an array of which only the record of a group is left, and none of its
// data, does not take an older record that names it for the newest, nor a newer one of its own for less.
func TestBeginsWithTheLaterRecord(t *testing.T) {
	t.Parallel()
	b := openArrays(t, 2, quick)[1]
	id := array.MakeGroupID(1, 77)
	first := arb.First(array.SideA, 7)
	both, alone := first, first
	both.ID, both.Seq, both.Members, both.Rule = 8, 2, array.Both, arb.Majority
	alone.ID, alone.Seq = 9, 3
	k := keep{b.store}
	left := arb.Stored{Current: both, Promised: 9}
	if err := k.Put(id, "membership", left.Marshal()); err != nil {
		t.Fatal(err)
	}
	told := func(r arb.Record) error {
		return b.beginWith(Description{Group: RCGroup{ID: id, Name: "g"}, Record: arb.Stored{Current: r}.Marshal()})
	}
	if err := told(first); err == nil || !strings.Contains(err.Error(), "has nothing of it") {
		t.Errorf("an array without data begins as a member: %v", err)
	}
	if err := told(alone); err != nil {
		t.Fatal(err)
	}
	kept, err := k.Get(id, "membership")
	if err != nil {
		t.Fatal(err)
	}
	if now, err := arb.ParseStored(kept); err != nil || now != (arb.Stored{Current: alone}) {
		t.Errorf("it begins with %+v, %v", now, err)
	}
}
