// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
)

// TestFarFollowWhileATargetGoes: a Follow waits for the command lock while the relation before it
// is dismissed.
func TestFarFollowWhileATargetGoes(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	r, _ := a.findGroup("g")
	g := a.farGroup("g")
	a.command.Lock()
	err := a.changeRecord(t.Context(), r, func(g *RCGroup) error {
		f := g.Far[0]
		f.Parted = true
		g.Far = []Far{{Systems: []array.SystemID{4}, Origin: true, Period: 3600}, f}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		_, err := a.answerFar(t.Context(), 3, far.Request{Kind: far.Follow, Group: g.Far[0].ID, Name: "g.r1", Tag: g.Far[0].Done.tag()})
		t.Log("follow:", err)
	}()
	time.Sleep(300 * time.Millisecond)
	err = a.forgetFar(t.Context(), g.ID, 4) // dismissrcopytarget, which has the lock
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if p := <-done; p != nil {
		t.Errorf("the daemon ends: %v", p)
	}
}

// TestFarVolumeOfTheSameName: a volume is taken out of the group, and another one of its name
// comes before the next point.
func TestFarVolumeOfTheSameName(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.run("dismissrcopyvv", "-f", "-destroy", "w", "g")
	if _, _, err := a.vv("w"); err == nil {
		a.run("removevv", "-f", "w")
	}
	a.run("admitrcopyvv", "-createvv", "-size", "32", "w", "g")
	a.write("w", 0, pagesOfByte(7, 3))
	for range 2 {
		if out, err := a.Run(t.Context(), []string{"syncrcopy", "-w", "-t", "far", "g"}); err != nil {
			t.Error(out, err)
			continue
		}
		c.has("w", 0, pagesOfByte(7, 3))
		return
	}
}

// TestFarLeadSaidAgain: C dies between goOnAlone and the last step of lead.
func TestFarLeadSaidAgain(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.run("syncrcopy", "-w", "-t", "far", "g")
	g := a.farGroup("g")
	if err := a.beginToFollow(t.Context(), g.ID, 3, true, a.unchanged); err != nil {
		t.Fatal(err)
	}
	cg := c.farGroup("g.r1")
	if err := c.goOnAlone(t.Context(), cg.ID, 1, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Run(t.Context(), []string{"setrcopygroup", "reverse", "-t", "far", "g"}); err != nil {
		t.Errorf("say it again: %s %v", out, err)
	}
	if f := a.farGroup("g").Far[0]; f.Handing || !f.Copy || c.farGroup("g.r1").Far[0].Parted {
		t.Errorf("after it: %+v", f)
	}
}

// TestFarDropLeavesNoPlace: the domain of a copy that its source removed.
func TestFarDropLeavesNoPlace(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	c.run("createdomain", "d")
	if out, err := c.Run(t.Context(), []string{"movetodomain", "-f", "-rcgroup", "g.r1", "d"}); err != nil {
		t.Fatal(out, err)
	}
	a.run("dismissrcopytarget", "-f", "far", "g")
	c.until("gone", func() bool { _, err := c.findGroup("g.r1"); return err != nil })
	in, err := c.places()
	if err != nil {
		t.Fatal(err)
	}
	for k, d := range in {
		if strings.HasPrefix(string(k), groupKind) {
			t.Errorf("%s, which is not there any more, is in domain %s: the next of its name will be", k, d)
		}
	}
	c.run("movetodomain", "-f", "-cpg", "-unset", "cpg0")
	if out, err := c.Run(t.Context(), []string{"removedomain", "-f", "d"}); err != nil {
		t.Error("removedomain:", out, err)
	}
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "g")
	a.run("syncrcopy", "-w", "-t", "far", "g")
	if in, err = c.places(); err != nil {
		t.Fatal(err)
	}
	if d := in[keyOf(groupKind, "g.r1")]; d != "" {
		t.Errorf("the new copy g.r1, with volumes in a CPG of no domain, is in domain %s", d)
	}
}

// slowVolumes hold a copy's lock, as Back of a large volume does.
type slowVolumes struct {
	far.Volumes
	in, out chan struct{}
}

func (s slowVolumes) Have() (uint64, error) {
	close(s.in)
	<-s.out
	return 0, context.Canceled
}

// TestFarFailoverSaidTwice: the first failover waits until what came from the source is over;
// the second one does not, and hosts write. Then the first one goes on.
func TestFarFailoverSaidTwice(t *testing.T) {
	t.Parallel()
	a, b, c := copiedGroup(t)
	a.Close()
	b.Close()
	c.until("gone", func() bool { return !c.fars()[0].tie.Reachable() && !c.fars()[1].tie.Reachable() })
	from := c.farGroup("g.r1").Far[0].ID
	s := slowVolumes{in: make(chan struct{}), out: make(chan struct{})}
	slow := &farCopy{n: c.Node, from: from, Copy: far.NewCopy(s, time.Now)}
	slow.ctx, slow.end = context.WithCancel(t.Context())
	c.farCopies.mu.Lock()
	c.farCopies.all[from] = slow
	c.farCopies.mu.Unlock()
	go slow.End(t.Context(), far.Request{Tag: 1}) // a request that is being carried out
	<-s.in
	first := make(chan error)
	go func() {
		_, err := c.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g.r1"})
		first <- err
	}()
	c.until("the first one", func() bool { return c.farGroup("g.r1").Far[0].Parted })
	time.Sleep(300 * time.Millisecond)
	if out, err := c.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g.r1"}); err != nil {
		t.Log("refused:", out, err)
		close(s.out)
		<-first
		return
	}
	c.run("createhost", "h", "iqn.2026-01.org.example:h")
	c.run("createvlun", "v", "auto", "h")
	c.write("v", 0, pagesOfByte(5, 40)) // a host's, acknowledged
	c.has("v", 0, pagesOfByte(5, 40))
	close(s.out)
	t.Log("first:", <-first)
	c.has("v", 0, pagesOfByte(5, 40))
}

// TestFarFailoverOfALostGroup: both arrays of the pair answer, and neither has the group
// (both copies are gone, row 17): the third array's copy is what is left.
func TestFarFailoverOfALostGroup(t *testing.T) {
	t.Parallel()
	a, b, c := copiedGroup(t)
	id := a.farGroup("g").ID
	a.closeGroup(id)
	b.closeGroup(id)
	if out, err := a.Run(t.Context(), []string{"setrcopygroup", "reverse", "-t", "far", "g"}); err == nil {
		t.Log("reverse:", out)
		return
	} else {
		t.Log("reverse:", err)
	}
	if out, err := c.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g.r1"}); err != nil {
		t.Error("failover -f:", out, err)
	}
}

// TestFarFollowWhileAVolumeJoins: Follow comes while a volume in use is being admitted.
func TestFarFollowWhileAVolumeJoins(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	a.run("createvv", "cpg0", "u", "32")
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	a.run("createvlun", "u", "auto", "h")
	a.write("u", 0, pagesOfByte(3, 4))
	r, _ := a.findGroup("g")
	v, _, err := a.vv("u")
	if err != nil {
		t.Fatal(err)
	}
	a.command.Lock()
	err = a.beginJoin(t.Context(), v, r)
	var j VV
	if err == nil {
		j, _, err = a.joiningOf(v)
	}
	if err == nil { // step 3, and the array dies
		as := j.becomes(v)
		err = a.changeVV(t.Context(), j, func(x *VV) error {
			x.Joins = &Joining{From: v.ID, Name: v.Name, Held: true, As: &as}
			return nil
		})
	}
	if err == nil {
		err = a.changeFar(t.Context(), a.farGroup("g").ID, 3, func(f *Far) { f.Parted = true })
	}
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	f := a.farGroup("g").Far[0]
	_, err = a.answerFar(t.Context(), 3, far.Request{Kind: far.Follow, Group: f.ID, Name: "g.r1", Tag: f.Done.tag(), Of: f.Of})
	t.Log("follow:", err)
	_, e := a.settleJoin(t.Context(), j.ID, a.unitOf(j.Group, j.ID))
	t.Log("settle:", e)
	if x, err2 := a.vvOf(j.ID); err == nil && array.KindOf(e) == array.Conflict && err2 == nil {
		t.Errorf("group g follows with volume %s in it, Held %v, Taking itself %v: volume u is held, and nothing takes that back", x.Name, x.Joins != nil && x.Joins.Held, x.Taking == x.ID)
	}
}
