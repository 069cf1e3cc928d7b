// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/volume"
)

// slowPages are two arrays of which the second puts nothing on pages by itself, with the group g
// that they protect.
func slowPages(t *testing.T) (a, b *testArray) {
	all := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-b" {
			c.Pages = func(o *volume.Options) { o.Age = -1 }
		}
	})
	a, b = all[0], all[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	return a, b
}

// inStep reports whether the second array has the group's newest description, and all it says is so.
func inStep(a *testArray, name string) func() bool {
	return func() bool {
		r, err := a.findGroup(name)
		if err != nil {
			return false
		}
		i, err := r.g.Info()
		return err == nil && i.Synced && i.Alike
	}
}

// TestRemovedSoonAfterASnapshot: a volume is removed whose snapshot, removed too, is not on the
// other array's pages yet.
func TestRemovedSoonAfterASnapshot(t *testing.T) {
	t.Parallel()
	a, b := slowPages(t)
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "w", "g")
	a.write("w", 0, make([]byte, 1<<20))
	id := a.stored("w").ID
	a.run("createsv", "-ro", "s", "w")
	a.run("removevv", "-f", "s")
	a.run("dismissrcopyvv", "-f", "-destroy", "w", "g")
	a.until("the arrays to be in step", inStep(a, "g"))
	if b.cpgs["cpg0"].Volume(id) != nil {
		t.Error("the other array has pages of a volume that was removed")
	}
	a.run("setrcopygroup", "switchover", "g")
}

// TestFailedAfterItWasStored: the other array stores that something is removed, and then can't remove
// its pages. The change stands on both, and is done when it can be.
func TestFailedAfterItWasStored(t *testing.T) {
	t.Parallel()
	a, b := slowPages(t)
	a.run("createsv", "-ro", "s", "v")
	p, s := b.cpgs["cpg0"], a.stored("s").ID
	group := a.stored("v").Group
	b.until("the snapshot to be applied", func() bool { return p.Volume(a.stored("v").ID).SnapshotCount() > 0 })
	if err := p.Flush(group); err != nil {
		t.Fatal(err)
	}
	inTheWay := array.MakeVolumeID(9, 999)
	if _, err := p.Branch(volume.VolumeSpec{ID: inTheWay, Group: group, Base: s, Size: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	a.run("removevv", "-f", "s")
	for _, x := range []*testArray{a, b} {
		if _, _, err := x.vv("s"); err == nil {
			t.Errorf("snapshot s is still on %s", x.cfg.Name)
		}
	}
	a.until("the cause to be told", func() bool {
		return a.events("the other array does not take its newest description: remove volume") > 0
	})
	if inStep(a, "g")() {
		t.Error("the arrays are in step, and what was told is not done")
	}
	if err := p.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	a.until("the arrays to be in step", inStep(a, "g"))
	if p.Volume(s) != nil {
		t.Error("the other array has pages of a snapshot that was removed")
	}
}

// TestFailedHereAfterItWasStored: what this array can't carry out at first of a change that both have
// stored, it carries out later.
func TestFailedHereAfterItWasStored(t *testing.T) {
	t.Parallel()
	b, a := slowPages(t)
	b.run("setrcopygroup", "switchover", "g")
	a.until("g to be served here", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
	a.run("createsv", "-ro", "s", "v")
	p, s := a.cpgs["cpg0"], a.stored("s").ID
	group := a.stored("v").Group
	if err := p.Flush(group); err != nil {
		t.Fatal(err)
	}
	inTheWay := array.MakeVolumeID(9, 999)
	if _, err := p.Branch(volume.VolumeSpec{ID: inTheWay, Group: group, Base: s, Size: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	a.refuses("not all of it is carried out", "removevv", "-f", "s")
	if err := p.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	a.until("the pages of the snapshot to be gone", func() bool { return p.Volume(s) == nil })
	a.until("the arrays to be in step", inStep(a, "g"))
}

// inTheWay has a snapshot of v, and on an array what keeps its pages from being removed, until away.
func inTheWay(t *testing.T, a, at *testArray, v string) (s array.VolumeID, away func()) {
	t.Helper()
	a.run("createsv", "-ro", "s", v)
	p, g := at.cpgs["cpg0"], a.stored(v).Group
	s = a.stored("s").ID
	at.until("the snapshot to be applied", func() bool { return p.Volume(a.stored(v).ID).SnapshotCount() > 0 })
	if err := p.Flush(g); err != nil {
		t.Fatal(err)
	}
	branch := array.MakeVolumeID(9, 999)
	if _, err := p.Branch(volume.VolumeSpec{ID: branch, Group: g, Base: s, Size: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	return s, func() {
		if err := p.Remove(branch); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCarriedOutAfterANewerChange: what was stored there and could not be carried out is not
// forgotten with the next change.
func TestCarriedOutAfterANewerChange(t *testing.T) {
	t.Parallel()
	a, b := slowPages(t)
	s, away := inTheWay(t, a, b, "v")
	a.run("removevv", "-f", "s")
	a.run("setvv", "-comment", "x", "v")
	if inStep(a, "g")() {
		t.Error("the arrays are in step, of which one has not removed the snapshot")
	}
	away()
	b.until("the pages of the snapshot to go", func() bool { return b.cpgs["cpg0"].Volume(s) == nil })
	a.until("the arrays to be in step", inStep(a, "g"))
}

// TestFailedOnOneArrayAfterItWasStored: nor is it of a volume that the other array does not have.
func TestFailedOnOneArrayAfterItWasStored(t *testing.T) {
	t.Parallel()
	a, _ := slowPages(t)
	a.run("createvv", "cpg0", "p", "16m")
	s, away := inTheWay(t, a, a, "p")
	a.refuses("not all of it is carried out on array array-a yet", "removevv", "-f", "s")
	away()
	a.until("the pages of the snapshot to go", func() bool { return a.cpgs["cpg0"].Volume(s) == nil })
}

// TestARefusalEndsWithTheService: what the other array refused is of the past when it serves itself.
func TestARefusalEndsWithTheService(t *testing.T) {
	t.Parallel()
	a, b := slowPages(t)
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	r.refusedThere(array.Errorf(array.Conflict, "it was refused"))
	a.run("setrcopygroup", "switchover", "g")
	b.until("the group to be served", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	a.tellAgain(r.rec.ID) // it is looked at
	a.until("the refusal to be forgotten", func() bool { return r.whyRefused() == "" })
}
