// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/reservation"
)

// letCopies goes on with what holdCopies held.
func (a *testArray) letCopies() {
	a.copies.mu.Lock()
	clear(a.copies.runs)
	a.copies.mu.Unlock()
	a.copies.wake()
}

// joinerOf is the volume that is to take the place of v.
func (a *testArray) joinerOf(vv string) VV {
	a.t.Helper()
	o, is, err := a.joiningOf(a.stored(vv))
	if err != nil || !is {
		a.t.Fatalf("no volume is to take the place of %s: %v", vv, err)
	}
	return o
}

// heldJoin begins to admit v to a group with another volume, and holds it before it is copied.
func heldJoin(t *testing.T) (a, b *testArray, v VV) { return heldJoinTo(t, "sync") }

func heldJoinTo(t *testing.T, mode string) (a, b *testArray, v VV) {
	t.Helper()
	arrays := openArrays(t, 2, quick)
	a, b = arrays[0], arrays[1]
	a.inUse("v")
	a.fullGroup(mode)
	a.holdCopies()
	b.holdCopies()
	a.run("admitrcopyvv", "-createvv", "v", "g")
	return a, b, a.joinerOf("v")
}

// toTheEnd takes the steps before the tables are changed; decided: up to the log's entry.
func (a *testArray) toTheEnd(v VV, decided bool) {
	a.t.Helper()
	u := a.unitOf(v.Group, v.ID)
	from, err := a.vvOf(v.Joins.From)
	if err != nil {
		a.t.Fatal(err)
	}
	j := &joiner{a.Node, v, u, from, a.cpgs[from.CPG], &copyRun{}, a.endJoin, a.mayTakeItsPlace}
	last, err := j.snapshot(a.t.Context())
	if err == nil {
		err = writer{a.Node, j.pool, j.pool.Volume(last.ID), u}.whole(a.t.Context(), func(int64) {})
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("v", 1<<20, []byte("at last"))
	a.command.Lock()
	defer a.command.Unlock()
	alone, err := a.mayTakePlace(j, last)
	if err == nil {
		as := v.becomes(j.from)
		err = a.changeVV(a.t.Context(), v, func(v *VV) error {
			v.Joins = &Joining{From: from.ID, Name: from.Name, Held: true, As: &as, VLUNs: vlunsFor(v.ID, alone)}
			return nil
		})
	}
	if err == nil && decided {
		err = a.takePlace(a.t.Context(), j, last)
	} else if err == nil {
		err = a.retire(from.Group, from.Name)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

const joinHost = "iqn.2026-01.org.example:host"

// inGroup wants v to be in the group, on both arrays, with all that was written.
func inGroup(t *testing.T, a, b *testArray) {
	t.Helper()
	for _, x := range []*testArray{a, b} {
		x.until("v to be in the group", func() bool {
			v, g, err := x.vv("v")
			return err == nil && !g.Private && v.Joins == nil && x.sees(joinHost) == 1
		})
		if n := x.count(""); n != 2 {
			t.Errorf("%s has %d volumes and snapshots, want 2:\n%s", x.cfg.Name, n, x.run("showvv"))
		}
	}
	s := a
	if !s.serves(s.stored("v").Group) {
		s = b
	}
	s.write("v", 8192, []byte("behind it"))
	s.run("syncrcopy", "-w", "g")
	s.run("setrcopygroup", "switchover", "g")
	if s == a {
		s = b
	} else {
		s = a
	}
	s.until("the other one to serve", func() bool { return s.serves(s.stored("v").Group) })
	for off, want := range map[int64]string{0: "before", 8192: "behind it", 1 << 20: "at last", 60 << 20: "far behind"} {
		s.has("v", off, []byte(want))
	}
	s.has("first", 0, []byte("first"))
	(&interrupted{t: t, all: []*testArray{a, b}}).check()
}

// TestDeathBeforeAVolumeJoins: hosts are held and nothing is decided. The volume is served
// again as what it was, and joins later.
func TestDeathBeforeAVolumeJoins(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, v := heldJoin(t)
	a.toTheEnd(v, false)
	a.Close()
	a.open()
	inGroup(t, a, b)
}

// TestDeathAfterAVolumeJoined: it is decided, and in no table. The array finds it so.
func TestDeathAfterAVolumeJoined(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, v := heldJoin(t)
	a.toTheEnd(v, true)
	a.Close()
	a.open()
	inGroup(t, a, b)
}

// TestHandedOverBeforeAVolumeJoins: the other array serves the group, finds that nothing is
// decided, and says so; the volume is served again as what it was.
func TestHandedOverBeforeAVolumeJoins(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, v := heldJoin(t)
	a.toTheEnd(v, false)
	a.run("setrcopygroup", "switchover", "g")
	b.letCopies()
	a.until("v to be served again", func() bool { return a.serves(a.stored("v").Group) })
	if a.joinerOf("v").Joins.Held || a.sees(joinHost) != 1 || b.sees(joinHost) != 0 {
		t.Errorf("%+v; the host sees %d and %d volumes", a.joinerOf("v").Joins, a.sees(joinHost), b.sees(joinHost))
	}
	a.write("v", 1<<20, []byte("at last"))
	b.run("setrcopygroup", "switchover", "g")
	a.letCopies()
	inGroup(t, a, b)
}

// TestHandedOverAfterAVolumeJoined: the other array serves the group, finds that it is decided,
// and does what follows; this one learns it from that.
func TestHandedOverAfterAVolumeJoined(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, v := heldJoin(t)
	a.toTheEnd(v, true)
	a.run("setrcopygroup", "switchover", "g")
	b.letCopies()
	inGroup(t, a, b)
}

// TestForcedToBeforeAVolumeJoined: a person lets the other array go on from a point of before
// that. Hosts see nothing of the volume there, which was none of the group's at that point.
func TestForcedToBeforeAVolumeJoined(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, v := heldJoinTo(t, "periodic")
	a.run("createvlun", "first", "6", "host")
	a.run("syncrcopy", "-w", "g")
	a.toTheEnd(v, true)
	if over, err := a.settleJoin(t.Context(), v.ID, a.unitOf(v.Group, v.ID)); !over || err != nil || a.sees(joinHost) != 2 {
		t.Fatalf("%v, %v; the host sees %d volumes", over, err, a.sees(joinHost))
	}
	b.until("b to know", func() bool { w, _, err := b.vv("v"); return err == nil && w.Joins == nil })
	a.Close()
	b.until("a to be lost", func() bool { f, err := b.Group("g"); return err == nil && !f.Contact })
	b.run("setrcopygroup", "failover", "-f", "g")
	b.until("the host to see the other volume", func() bool { return b.sees(joinHost) == 1 })
	if _, ok := b.exports.Unit(joinHost, 5); ok {
		t.Error("the host sees the part of the volume that the point has")
	}
	b.has("first", 0, []byte("first"))
}

// TestLostWhileAVolumeJoins: the link is cut, or an array dies, at each exchange of the last
// step.
func TestLostWhileAVolumeJoins(t *testing.T) { atEachExchange(t, 3, (*interrupted).joins) }

// atEachExchange plays a last step again and again, each time with a fault at the next of its
// exchanges, of which it has so many at least, until there is none left.
func atEachExchange(t *testing.T, least int, play func(x *interrupted, t *testing.T, k int, f fault) bool) {
	long(t)
	t.Parallel()
	for _, f := range []fault{loseAnswer, otherDies, thisDiesAfter, loseRequest, otherDiesAfter, thisDies} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			x := openInterrupted(t)
			a, b := x.all[0], x.all[1]
			a.run("createhost", "host", joinHost)
			a.fullGroup("sync")
			k := 1
			for play(x, t, k, f) {
				k++
			}
			if k <= least {
				t.Errorf("the last step has %d exchanges, want %d", k-1, least)
			}
			a.Close()
			b.Close()
		})
	}
}

// step takes a step that can be stopped, again while its group is not served at that moment.
func (x *interrupted) step(do func(context.Context) error) error {
	ctx := context.WithValue(x.t.Context(), stoppable{}, true)
	for {
		err := do(ctx)
		if err == nil || x.stop.begun() || !pause(ctx, 10*time.Millisecond) {
			return err
		}
	}
}

// begun reports whether there was an exchange.
func (s *stopper) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now > 0
}

// joins lets a volume join that is stopped at its k-th exchange.
func (x *interrupted) joins(t *testing.T, k int, f fault) bool {
	a, b := x.all[0], x.all[1]
	name, lun := fmt.Sprintf("v%d", k), fmt.Sprint(k)
	a.run("createvv", "cpg0", name, "16m")
	a.run("createvlun", name, lun, "host")
	a.write(name, 0, []byte(name))
	a.run("syncrcopy", "-w", "g")
	a.holdCopies()
	a.run("admitrcopyvv", "-createvv", name, "g")
	v := a.joinerOf(name)
	x.stop.arm(k, f)
	ended := make(chan error, 1)
	go func(n *Node) {
		ended <- x.step(func(ctx context.Context) error { return n.joinStep(ctx, v, &copyRun{}) })
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
	a.until(name+" to be in the group", func() bool { _, g, err := a.vv(name); return err == nil && !g.Private && a.serves(g.ID) })
	x.t = t
	x.agree()
	a.has(name, 0, []byte(name))
	b.until("the host to see it through the other array, too", func() bool { return b.sees(joinHost) == k })
	return hit
}

// TestReservationsJoin: a host that is kept out stays kept out.
func TestReservationsJoin(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.inUse("v")
	a.fullGroup("sync")
	me := reservation.Nexus{Initiator: joinHost + ",i,0x1", Port: 1}
	for _, r := range []reservation.Request{{Nexus: me, Action: reservation.Register, NewKey: 7}, {Nexus: me, Action: reservation.Reserve, Key: 7, Type: reservation.WriteExclusive}} {
		u := a.unit("v").to
		if err := patiently(t.Context(), func(done func(error)) { u.Reserve(a.ownOp(u), r, done) }); err != nil {
			t.Fatal(err)
		}
	}
	was := a.unit("v").to.Reservations()
	a.run("admitrcopyvv", "-createvv", "-wait", "v", "g")
	b.until("b to know", func() bool { w, _, err := b.vv("v"); return err == nil && w.Joins == nil })
	for _, x := range []*testArray{a, b} {
		now := x.unit("v").to.Reservations()
		if x == b {
			b.until("the reservations to be there", func() bool { return b.unit("v").to.Adopted() })
			now = b.unit("v").to.Reservations()
		}
		if now.Type != reservation.WriteExclusive || now.Holder != me || now.Generation != was.Generation || now.Revision < was.Revision {
			t.Errorf("%s: the reservations were %+v and are %+v", x.cfg.Name, was, now)
		}
	}
}
