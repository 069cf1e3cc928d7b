// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
)

// copiedGroup is group g of the pair with volumes v and w, with a periodic copy on c.
func copiedGroup(t *testing.T) (a, b, c *testArray) {
	a, b, c = withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "w", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("v", 0, pagesOfByte(1, 40))
	a.write("w", 0, pagesOfByte(2, 3))
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "g")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	return a, b, c
}

func (x *testArray) farGroup(name string) RCGroup {
	r, err := x.findGroup(name)
	if err != nil {
		x.t.Fatal(err)
	}
	return x.recordOf(r)
}

// TestFarBeginWithoutSystems: a source's Begin without systems.
func TestFarBeginWithoutSystems(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	g := a.farGroup("g")
	q := far.Request{Kind: far.Begin, Group: g.ID, Name: "g", Epoch: 99, Tag: 77}
	for _, v := range []string{"v", "w"} {
		s := a.stored(v)
		q.Volumes = append(q.Volumes, far.Volume{ID: s.ID, Name: s.Name, Size: s.Size})
	}
	_, err := c.answerFar(t.Context(), 1, q)
	t.Log("answer:", err)
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("showrcopy on c panics: %v; systems %v", r, c.farGroup("g.r1").Far[0].Systems)
		}
	}()
	c.farFacts(c.farGroup("g.r1"))
}

// TestFarFailoverAgainDuringPromotion: failover -f said again while a volume is being promoted.
func TestFarFailoverAgainDuringPromotion(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, c := copiedGroup(t)
	a.Close()
	b.Close()
	c.until("gone", func() bool { return !c.fars()[0].tie.Reachable() && !c.fars()[1].tie.Reachable() })
	c.run("setrcopygroup", "failover", "-f", "g.r1")
	c.write("v", 0, pagesOfByte(5, 40)) // hosts of c
	c.run("createsv", "-ro", "good", "v")
	c.write("v", 0, pagesOfByte(6, 40))
	sv := c.stored("good")
	n := c.Node
	n.command.Lock()
	_, err := n.setTaking(t.Context(), sv.Group, sv.Of, sv) // promotesv good, interrupted
	n.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g.r1"})
	t.Log(out, err)
	c.has("v", 0, pagesOfByte(6, 40))
	if v := c.stored("v"); v.Taking != sv.ID {
		t.Errorf("v takes %v, want %v: passes for whole", v.Taking, sv.ID)
	}
}

// TestFarLeaveToSource: the far array says Leave (or Drop) with its own group's id to the source.
func TestFarLeaveToSource(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	a.write("v", 0, pagesOfByte(5, 40))
	a.run("createsv", "-ro", "good", "v")
	a.write("v", 0, pagesOfByte(6, 40))
	sv := a.stored("good")
	a.command.Lock()
	_, err := a.setTaking(t.Context(), sv.Group, sv.Of, sv)
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	id := a.farGroup("g").Far[0].ID
	_, err = a.answerFar(t.Context(), 3, far.Request{Kind: far.Leave, Group: id})
	t.Log("leave:", err)
	if len(a.farGroup("g").Far) == 0 {
		t.Error("the source's relation is gone")
	}
	if v := a.stored("v"); v.Taking != sv.ID {
		t.Errorf("v takes %v, want %v", v.Taking, sv.ID)
	}
	a.has("v", 0, pagesOfByte(6, 40))
}

// Drop while the copy's group is not open.
func TestFarDropOfClosed(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	g := a.farGroup("g")
	c.closeGroup(c.farGroup("g.r1").ID)
	_, err := c.answerFar(t.Context(), 1, far.Request{Kind: far.Drop, Group: g.ID})
	if left := c.volumesLeft(); err == nil && left != "" {
		t.Errorf("drop is said to be done, c has %s", left)
	}
}

// TestFarCopiesUsedUp: one array's requests use up what there is for all.
func TestFarCopiesUsedUp(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	for i := range 2000 {
		c.answerFar(t.Context(), 2, far.Request{Kind: far.Drop, Group: array.MakeGroupID(77, uint32(i+1))})
	}
	a.run("creatercopygroup", "h", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "x", "h")
	a.run("syncrcopy", "-w", "h")
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "h")
	a.run("syncrcopy", "-w", "-t", "far", "h")
}

// TestFarPointOfHalfAVolume: a point is taken of a volume that is half of something.
func TestFarPointOfHalfAVolume(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	a.write("v", 0, pagesOfByte(5, 40))
	a.run("createsv", "-ro", "good", "v")
	a.write("v", 0, pagesOfByte(6, 40))
	sv := a.stored("good")
	a.command.Lock()
	_, err := a.setTaking(t.Context(), sv.Group, sv.Of, sv)
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	a.write("v", 0, pagesOfByte(5, 20)) // half of the promotion
	a.run("createhost", "h", "iqn.2026-01.io.perdure:h")
	if _, err := a.Run(t.Context(), []string{"createvlun", "v", "auto", "h"}); err == nil {
		t.Fatal("exported")
	} else {
		t.Log(err)
	}
	a.refuses("is neither meanwhile", "syncrcopy", "-w", "-t", "far", "g")
}

// TestFarServedAfterReverse: a run that ends after the group was handed over.
func TestFarServedAfterReverse(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.run("setrcopygroup", "reverse", "-t", "far", "g")
	g := a.farGroup("g")
	// a run that was between farSource and Begin
	a.partedFrom(t.Context(), g.ID, 3, array.Errorf(array.Conflict, "x").Because(array.Served))
	f := a.farGroup("g").Far[0]
	if f.Copy && f.Parted {
		t.Errorf("a's group follows, and its copy went on by itself")
	}
	out, err := a.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g"})
	if err == nil {
		t.Errorf("failover though c can be reached (%v): %s", c.farGroup("g.r1").Far[0].Copy, out)
	}
}

// TestFarClock: clocks differ.
func TestFarClock(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.run("setrcopygroup", "reverse", "-t", "far", "g")
	c.Close()
	c.cfg.Clock = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	c.open()
	for _, x := range c.fars() {
		c.until("the pair", x.tie.Reachable)
	}
	c.until("served", func() bool { return c.serves(c.stored("v").Group) })
	c.write("v", 0, pagesOfByte(9, 40))
	c.run("syncrcopy", "-w", "-t", "array-a", "g.r1")
	c.run("setrcopygroup", "reverse", "-t", "array-a", "g.r1")
	a.has("v", 0, pagesOfByte(9, 40))
}

// TestFarPointsHeld: points of a stopped target while the CPG is short.
func TestFarPointsHeld(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, _ := copiedGroup(t)
	for _, x := range []*testArray{a, b} {
		x.run("setcpg", "-sdgl", "176m", "cpg0")
	}
	for n := range int64(64) {
		a.write("v", n<<20, filled(1<<20, 3))
	}
	for n := range int64(32) {
		a.write("w", n<<20, filled(1<<20, 3))
	}
	for _, x := range []*testArray{a, b} {
		v := x.stored("v")
		if err := x.cpgs[v.CPG].Flush(v.Group); err != nil {
			t.Fatal(err)
		}
	}
	a.run("syncrcopy", "-w", "-t", "far", "g")
	a.run("stoprcopygroup", "-f", "-t", "far", "g")
	full := false
	for n := int64(0); n < 64 && !full; n++ { // hosts overwrite what they have
		err := a.tryWrite("v", n<<20, filled(1<<20, 5))
		if full = array.KindOf(err) == array.Full; err != nil {
			t.Log(n, err)
		}
	}
	for n := int64(0); n < 32 && !full; n++ {
		err := a.tryWrite("w", n<<20, filled(1<<20, 5))
		if full = array.KindOf(err) == array.Full; err != nil {
			t.Log(n, err)
		}
	}
	time.Sleep(3 * time.Second)
	v := a.stored("v")
	p := a.cpgs[v.CPG]
	t.Log("short", p.Short(), "points", a.count("rcpy."), b.count("rcpy."))
	if full && a.count("rcpy.") > 0 {
		t.Errorf("hosts' overwrites are refused for room that a stopped target's points hold")
	}
	if err := a.tryWrite("v", 0, filled(1<<20, 6)); err != nil {
		t.Error(err)
	}
}

// TestFarTwoOfOneName: names on the target that meet those of volumes without.
func TestFarTwoOfOneName(t *testing.T) {
	t.Parallel()
	a, _, c := withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "w", "g")
	a.run("syncrcopy", "-w", "g")
	out, err := a.Run(t.Context(), []string{"admitrcopytarget", "-period", "1h", "far", "periodic", "g", "v:w"})
	t.Log(out, err)
	out, err = a.Run(t.Context(), []string{"syncrcopy", "-w", "-t", "far", "g"})
	t.Log(out, err)
	if left := c.volumesLeft(); left == "w w " {
		t.Errorf("c has %s", left)
	}
	t.Log(c.volumesLeft())
}

// TestFarLateAnswer: an answer to a request of the process before.
func TestFarLateAnswer(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	again := func() {
		a.Close()
		a.open()
		a.until("c", func() bool { return a.farNamed("far").tie.Reachable() })
	}
	again()
	g := a.farGroup("g")
	q := far.Request{Kind: far.Begin, Group: g.ID, Name: "g", Systems: []array.SystemID{1, 2}, Period: 3600, Epoch: 99, Tag: 77}
	for _, v := range []string{"v", "w"} {
		s := a.stored(v)
		q.Volumes = append(q.Volumes, far.Volume{ID: s.ID, Name: s.Name, Size: s.Size})
	}
	c.command.Lock()
	tie := a.farNamed("far").tie
	go func() { _, _ = tie.Ask(t.Context(), q) }()
	time.Sleep(300 * time.Millisecond)
	again()
	tie = a.farNamed("far").tie
	type res struct {
		a   far.Answer
		err error
	}
	ch := make(chan res)
	go func() {
		x, err := tie.Ask(t.Context(), far.Request{Kind: far.Drop, Group: g.ID})
		ch <- res{x, err}
	}()
	time.Sleep(300 * time.Millisecond)
	c.command.Unlock()
	r := <-ch
	t.Logf("%+v", r)
	if r.a.Have != 0 || r.a.Run != 0 {
		t.Errorf("Drop was answered as Begin, by the process before: copy still there: %q", c.volumesLeft())
	}
}

// TestFarKeepWithoutSnapshot: a point that can't be made on the copy is kept as if it were.
func TestFarKeepWithoutSnapshot(t *testing.T) {
	long(t)
	t.Parallel()
	a, b, c := copiedGroup(t)
	a.Close()
	b.Close()
	c.until("gone", func() bool { return !c.fars()[0].tie.Reachable() && !c.fars()[1].tie.Reachable() })
	c.run("setrcopygroup", "failover", "-f", "g.r1")
	for n := range 499 {
		c.run("createsv", "-ro", fmt.Sprint("s", n), "v")
	}
	a.open()
	b.open()
	a.until("c", func() bool { return a.farNamed("far").tie.Reachable() && a.serves(a.stored("v").Group) })
	a.farRuns.change(a.farGroup("g").Far[0].key(a.farGroup("g").ID), func(s *farRun) { s.asked = true })
	a.until("parted", func() bool { return a.farGroup("g").Far[0].Parted })
	a.run("setrcopygroup", "recover", "g") // c follows again
	a.write("v", 0, pagesOfByte(7, 40))
	time.Sleep(6 * time.Second)
	out, err := a.Run(t.Context(), []string{"syncrcopy", "-w", "-t", "far", "g"})
	t.Log("sync", out, err)
	f := c.farGroup("g.r1").Far[0]
	d, _ := c.describe(c.farGroup("g.r1").ID)
	t.Log("c is a copy:", f.Copy, "point", f.Done, "on disk:", c.hasPoint(t.Context(), d, f.Done))
	a.write("v", 0, pagesOfByte(8, 40))
	out, err = a.Run(t.Context(), []string{"syncrcopy", "-w", "-t", "far", "g"})
	t.Log("sync", out, err)
	a.Close()
	b.Close()
	c.until("gone", func() bool { return !c.fars()[0].tie.Reachable() && !c.fars()[1].tie.Reachable() })
	out, err = c.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g.r1"})
	if err != nil {
		t.Errorf("failover to the point that c said it has: %s %v", out, err)
	}
}

// TestFarLastLeavesParted: the last volume leaves a group whose far copy went on by itself.
func TestFarLastLeavesParted(t *testing.T) {
	t.Parallel()
	a, _, _ := withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("syncrcopy", "-w", "g")
	a.write("v", 0, pagesOfByte(1, 4))
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "g")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	a.command.Lock()
	err := a.changeFar(t.Context(), a.farGroup("g").ID, 3, func(f *Far) { f.Parted = true })
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	a.refuses("has to do with target far", "dismissrcopyvv", "-f", "-keepvv", "v", "g")
}

// TestFarUnaskedFollow: the third array says that the pair's group is to follow it.
func TestFarUnaskedFollow(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	f := a.farGroup("g").Far[0]
	_, err := a.answerFar(t.Context(), 3, far.Request{Kind: far.Follow, Group: f.ID, Name: "g.r1", Tag: 5})
	f = a.farGroup("g").Far[0]
	t.Log(err, f.Copy, f.Done)
	if err == nil && f.Copy {
		t.Error("a, which never heard that the copy went on by itself, follows it, without a common point")
	}
}

// TestFarStopWhileSending: who follows is never told of age; nor is a source without a known point.
func TestFarStopWhileSending(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.write("v", 0, pagesOfByte(9, 40))
	c.command.Lock() // c is slow
	a.run("syncrcopy", "-t", "far", "g")
	a.until("sending", func() bool {
		return a.farRuns.state(a.farGroup("g").Far[0].key(a.farGroup("g").ID)).running && a.farGroup("g").Far[0].Pending != nil
	})
	a.run("stoprcopygroup", "-f", "-t", "far", "g")
	was := c.farGroup("g.r1").Far[0].Done.Tag
	c.command.Unlock()
	for range 100 {
		if c.farGroup("g.r1").Far[0].Done.Tag != was {
			t.Fatal("stopped, and then a point was sent")
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// TestFarReverseOnCopy: a person's word on the copy: said the wrong way round.
func TestFarReverseOnCopy(t *testing.T) {
	t.Parallel()
	_, _, c := copiedGroup(t)
	out, err := c.Run(t.Context(), []string{"setrcopygroup", "reverse", "-t", "array-a", "g.r1"})
	said := ""
	for _, e := range c.Events() {
		said = e.Text
	}
	if err == nil {
		t.Errorf("reverse on a copy: %q, event %q, copy still %v", out, said, c.farGroup("g.r1").Far[0].Copy)
	}
}
