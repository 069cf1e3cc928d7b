// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestAVolumeStaysFromAmongOthers: one that leaves a group with others stays where that is
// served, with its data, identity, exports and reservations, and can come back.
func TestAVolumeStaysFromAmongOthers(t *testing.T) {
	long(t)
	t.Parallel()
	for _, mode := range []string{"sync", "periodic"} {
		for from := range 2 {
			arrays := openArrays(t, 2, quick)
			a, b := arrays[from], arrays[1-from]
			a.inUse("v")
			a.run("createvvset", "s", "v")
			wwn := a.fact("v").WWN
			a.fullGroup(mode)
			a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
			a.run("syncrcopy", "-w", "g")
			a.run("createsv", "-ro", "snap", "v")
			a.refuses("has the snapshot snap", "dismissrcopyvv", "-f", "-keepvv", "v", "g")
			a.run("removevv", "-f", "snap")
			a.write("v", 4096, []byte("after"))
			a.run("dismissrcopyvv", "-f", "-keepvv", "-wait", "v", "g")
			alone := func() {
				t.Helper()
				for off, want := range map[int64]string{0: "before", 4096: "after", 60 << 20: "far behind"} {
					a.has("v", off, []byte(want))
				}
				f := a.fact("v")
				if f.Group != "" || f.WWN != wwn || a.unit("v").to.Identity().WWN != wwn || a.sees(joinHost) != 1 || len(f.Sets) != 1 || f.State != "normal" {
					t.Errorf("%s from %d: %+v; the host sees %d", mode, from, f, a.sees(joinHost))
				}
				if _, _, err := b.vv("v"); err == nil || b.sees(joinHost) != 0 || a.count("") != 2 || b.count("") != 1 {
					t.Errorf("%s from %d: the other array has the volume, or exports it:\n%s", mode, from, b.run("showvv"))
				}
			}
			b.until("b to know", func() bool { return b.count("") == 1 && b.sees(joinHost) == 0 })
			alone()
			a.run("syncrcopy", "-w", "g")
			a.Close()
			a.open()
			a.until("a to be back", func() bool {
				f, err := a.Group("g")
				return err == nil && f.Contact && f.ServedHere && a.reachable() && a.serves(a.stored("v").Group)
			})
			alone()
			a.write("v", 8192, []byte("alone"))
			a.run("syncrcopy", "-w", "g")
			a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
			a.has("v", 8192, []byte("alone"))
			(&interrupted{t: t, all: arrays}).check()
		}
	}
}

// TestAVolumeStaysUnderLoad: the host's writes go on through it, and none is lost; nor are
// those to another volume of the group.
func TestAVolumeStaysUnderLoad(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, nil)[0]
	a.inUse("v")
	a.fullGroup("sync")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	a.run("syncrcopy", "-w", "g")
	n := a.underLoad(func() {
		a.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
		for k := byte(1); !a.fact("v").alone(); k++ {
			a.write("first", 4096, filled(4096, k))
			a.has("first", 4096, filled(4096, k))
		}
	})
	for i := max(n-1000, 0); i < n; i++ {
		a.has("v", i%1000*4096, numbered(i))
	}
	a.has("v", 60<<20, []byte("far behind"))
	t.Logf("%d writes", n)
}

func (f VolumeFact) alone() bool { return f.Group == "" }

// leaving has a volume that is about to leave, and what is to take its place.
func leaving(t *testing.T) (a, b *testArray, j *joiner, last VV) {
	t.Helper()
	arrays := openArrays(t, 2, quick)
	a, b = arrays[0], arrays[1]
	a.inUse("v")
	a.fullGroup("sync")
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	a.run("syncrcopy", "-w", "g")
	a.holdCopies()
	b.holdCopies()
	a.run("dismissrcopyvv", "-f", "-keepvv", "v", "g")
	v := a.stored("v")
	w, is, err := a.stayingOf(v)
	if err != nil || !is {
		t.Fatal(err)
	}
	a.refuses("being dismissed", "growvv", "v", "64m")
	a.refuses("it can have another name when that is over", "setvv", "-name", "v2", "v")
	a.refuses("already", "dismissrcopyvv", "-f", "-keepvv", "v", "g")
	a.refuses("to take the place", "createvlun", w.Name, "9", "host")
	j = &joiner{a.Node, w, a.unitOf(w.Group, w.ID), v, a.cpgs[v.CPG], &copyRun{}, a.endStay, func(*joiner, VV) error { return nil }}
	if last, err = j.snapshot(t.Context()); err == nil {
		err = writer{a.Node, j.pool, j.pool.Volume(last.ID), j.to}.whole(t.Context(), func(int64) {})
	}
	if err == nil {
		err = a.setLeaves(t.Context(), v, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.until("the host to see nothing through b", func() bool { return b.sees(joinHost) == 0 })
	if a.sees(joinHost) != 1 {
		t.Errorf("the host sees %d volumes where it stays", a.sees(joinHost))
	}
	j.from, err = a.vvOf(v.ID)
	if err != nil {
		t.Fatal(err)
	}
	return a, b, j, last
}

// TestAGroupStaysWhileAVolumeLeaves: what is to be kept is not removed with its group, nor by
// itself, by whichever array is asked.
func TestAGroupStaysWhileAVolumeLeaves(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.fullGroup("sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "big", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("big", 0, []byte("kept"))
	a.holdCopies()
	a.run("dismissrcopyvv", "-f", "-keepvv", "big", "g")
	w, is, err := a.stayingOf(a.stored("big"))
	if err != nil || !is {
		t.Fatal(err)
	}
	why := "volume big is leaving the group: wait for that, or 'removevv -f " + w.Name + "' ends it"
	for _, x := range arrays {
		x.refuses(why, "removercopygroup", "-f", "-destroy", "g")
		x.refuses(why, "dismissrcopyvv", "-f", "-destroy", "big", "g")
	}
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve", func() bool { return b.serves(b.stored("big").Group) })
	b.refuses(why, "removercopygroup", "-f", "-destroy", "g")
	b.run("setrcopygroup", "switchover", "g")
	a.until("a to serve", func() bool { return a.serves(a.stored("big").Group) })
	a.letCopies()
	a.until("it to leave", func() bool { return a.fact("big").alone() })
	a.has("big", 0, []byte("kept"))
	a.run("removercopygroup", "-f", "-destroy", "g")
	a.has("big", 0, []byte("kept"))
}

// TestHandedOverBeforeAVolumeLeft: the other array serves the group, hears that the volume is
// there, and shows it again.
func TestHandedOverBeforeAVolumeLeft(t *testing.T) {
	t.Parallel()
	a, b, _, _ := leaving(t)
	a.run("setrcopygroup", "switchover", "g")
	b.letCopies()
	b.until("b to show it", func() bool { return b.sees(joinHost) == 1 && !b.stored("v").Leaves })
	b.has("v", 0, []byte("before"))
	b.write("v", 4096, []byte("by b"))
	b.run("setrcopygroup", "switchover", "g")
	a.letCopies()
	a.until("it to leave", func() bool { return a.fact("v").alone() })
	a.has("v", 4096, []byte("by b"))
	b.until("b to know", func() bool { return b.count("") == 1 })
}

// TestHandedOverAfterAVolumeLeft: the other array serves the group, hears that the volume left,
// and removes its copy.
func TestHandedOverAfterAVolumeLeft(t *testing.T) {
	t.Parallel()
	a, b, j, last := leaving(t)
	if _, err := j.between(t.Context(), last.ID, j.from.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.leftBehind(j, last); err != nil {
		t.Fatal(err)
	}
	a.run("setrcopygroup", "switchover", "g")
	b.letCopies()
	b.until("b to know", func() bool {
		_, _, err := b.vv("v")
		return array.ReasonOf(err) == array.NoVolume && b.sees(joinHost) == 0
	})
	a.Close()
	a.open()
	a.until("v to be served", func() bool { return a.serves(a.stored("v").Group) })
	a.has("v", 0, []byte("before"))
	a.write("v", 4096, []byte("alone"))
	if a.sees(joinHost) != 1 {
		t.Errorf("the host sees %d volumes", a.sees(joinHost))
	}
	b.has("first", 0, []byte("first"))
	b.until("the group to be whole", func() bool { f, err := b.Group("g"); return err == nil && f.Contact && f.Sync == "Synced" })
}

// TestRemovedAfterAVolumeLeft: the array that kept the volume has removed it when the other one
// asks, which removes its copy, too.
func TestRemovedAfterAVolumeLeft(t *testing.T) {
	t.Parallel()
	a, b, j, last := leaving(t)
	if _, err := j.between(t.Context(), last.ID, j.from.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.leftBehind(j, last); err != nil {
		t.Fatal(err)
	}
	a.run("setrcopygroup", "switchover", "g")
	a.run("removevlun", "-f", "v", "5", "host")
	a.run("removevv", "-f", "v")
	b.letCopies()
	b.until("b to know", func() bool { _, _, err := b.vv("v"); return array.ReasonOf(err) == array.NoVolume })
}

// TestLostWhileAVolumeLeaves: the link is cut, or an array dies, at each exchange of the last
// step.
func TestLostWhileAVolumeLeaves(t *testing.T) { atEachExchange(t, 2, (*interrupted).leaves) }

// leaves lets a volume leave that is stopped at its k-th exchange.
func (x *interrupted) leaves(t *testing.T, k int, f fault) bool {
	a, b := x.all[0], x.all[1]
	name := fmt.Sprintf("v%d", k)
	a.run("syncrcopy", "-w", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", name, "g")
	a.run("createvlun", name, fmt.Sprint(k), "host")
	a.write(name, 0, []byte(name))
	a.run("syncrcopy", "-w", "g")
	a.holdCopies()
	a.run("dismissrcopyvv", "-f", "-keepvv", name, "g")
	w, is, err := a.stayingOf(a.stored(name))
	if err != nil || !is {
		t.Fatal(err)
	}
	x.stop.arm(k, f)
	ended := make(chan error, 1)
	go func(n *Node) {
		ended <- x.step(func(ctx context.Context) error { return n.stayStep(ctx, w, &copyRun{}) })
	}(a.Node)
	select {
	case err := <-ended:
		t.Logf("exchange %d: %v", k, err)
	case <-x.stop.died:
		a.Close()
		a.open()
		close(x.stop.dead)
		<-ended
	}
	hit := x.stop.hit()
	if hit && (f == otherDies || f == otherDiesAfter) {
		b.open()
	}
	a.letCopies()
	a.until(name+" to have left", func() bool { v, g, err := a.vv(name); return err == nil && g.Private && a.serves(v.Group) })
	x.t = t
	x.agree()
	a.has(name, 0, []byte(name))
	b.until("the other array to show it no more", func() bool { return b.sees(joinHost) == 0 && b.count(name) == 0 })
	if n := a.sees(joinHost); n != k {
		t.Errorf("the host sees %d volumes, want %d", n, k)
	}
	return hit
}
