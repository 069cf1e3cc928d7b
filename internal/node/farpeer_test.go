// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/far"
)

// TestFarStaysInItsGroup: the third array, allowed to have group g follow it,
// names in Of a volume of group h, which is exported, and writes it.
func TestFarStaysInItsGroup(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	a.run("creatercopygroup", "h", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "x", "h")
	a.run("syncrcopy", "-w", "h")
	a.run("createhost", "host", "iqn.2026-01.org.example:h")
	a.run("createvlun", "x", "auto", "host")
	a.write("x", 0, pagesOfByte(1, 4))
	// C says that its copy went on by itself; the pair believes it.
	cg := c.farGroup("g.r1")
	c.command.Lock()
	err := c.changeFar(t.Context(), cg.ID, 1, func(f *Far) { f.Copy, f.Parted = false, true })
	c.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	a.farRuns.change(a.farGroup("g").Far[0].key(a.farGroup("g").ID), func(s *farRun) { s.asked = true })
	a.until("parted", func() bool { return a.farGroup("g").Far[0].Parted })
	f, x := a.farGroup("g").Far[0], a.stored("x")
	// All of this is words of system 3.
	const made = array.VolumeID(4711)
	if _, err = a.answerFar(t.Context(), 3, far.Request{Kind: far.Follow, Group: f.ID, Name: "g.r1", Tag: f.Done.tag(), Of: map[far.VolumeID]far.VolumeID{x.ID: made}}); err != nil {
		t.Log("follow refused:", err)
		return
	}
	ans, err := a.answerFar(t.Context(), 3, far.Request{
		Kind: far.Begin, Group: f.ID, Name: "g.r1", Systems: []array.SystemID{3}, Period: 3600, Epoch: 99, Tag: 77,
		Volumes: []far.Volume{{ID: made, Name: "zz", Size: x.Size}},
	})
	if err != nil || ans.Run == 0 {
		t.Log("begin:", ans, err)
		return
	}
	_, err = a.answerFar(t.Context(), 3, far.Request{Kind: far.Pages, Group: f.ID, Tag: 77, Run: ans.Run, Volume: made, Pages: []far.Page{{Number: 0}}, Data: pagesOfByte(9, 1)[:block.Page]})
	t.Log("pages:", err)
	a.has("x", 0, pagesOfByte(1, 4))
}

// TestFarAnswerOfOneTarget: C's answer to a point says that it is system 4, too,
// which is another target of the group.
func TestFarAnswerOfOneTarget(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	g := a.farGroup("g")
	a.command.Lock()
	defer a.command.Unlock()
	r, _ := a.findGroup("g")
	if err := a.changeRecord(t.Context(), r, func(g *RCGroup) error {
		g.Far = append(append([]Far{}, g.Far...), Far{Systems: []array.SystemID{4}, Origin: true, Period: 3600})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.noteCopy(t.Context(), g.ID, g.Far[0], far.Answer{Group: "g.r1", ID: g.Far[0].ID, Systems: []array.SystemID{3, 4}}); err != nil {
		t.Log("refused:", err)
		return
	}
	now := a.farGroup("g")
	if k := now.farWith(4); k != 1 {
		t.Errorf("target 4 is relation %d of group g: what is said of it, points, stop, dismissal, is done to target 3 (systems %v)", k, now.Far[k].Systems)
	}
}

// TestFarCopyCalledAsAnother: C calls its copy of one group by the id that another array's copy of
// another group has. Requests in that one's name would be taken for the first one's.
func TestFarCopyCalledAsAnother(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	a.run("creatercopygroup", "h", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "x", "h")
	a.run("syncrcopy", "-w", "h")
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "h")
	a.run("syncrcopy", "-w", "-t", "far", "h")
	g, h := a.farGroup("g"), a.farGroup("h")
	r, _ := a.findGroup("g")
	a.command.Lock()
	err := a.changeRecord(t.Context(), r, func(g *RCGroup) error { // the copy of g is on another array
		g.Far = slices.Clone(g.Far)
		g.Far[0].Systems = []array.SystemID{4}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = a.noteCopy(t.Context(), h.ID, h.Far[0], far.Answer{Group: "h.r1", ID: g.Far[0].ID, Systems: []array.SystemID{3}})
	a.command.Unlock()
	if array.KindOf(err) != array.Denied {
		t.Errorf("the copy of h has the id of the copy of g: %v", err)
	}
	if id := a.farGroup("h").Far[0].ID; id != h.Far[0].ID {
		t.Errorf("the copy of h was %v and is %v", h.Far[0].ID, id)
	}
	a.run("syncrcopy", "-w", "-t", "far", "h") // what it says of itself every time is no clash
}

// TestFarWordsOfTheCopy: the copy's word of itself is large; the other array of the pair is to
// hear of the group's changes all the same.
func TestFarWordsOfTheCopy(t *testing.T) {
	t.Parallel()
	a, b, _ := copiedGroup(t)
	g := a.farGroup("g")
	of := map[array.VolumeID]array.VolumeID{}
	for range 3 {
		of[array.VolumeID(nonce())] = array.VolumeID(nonce())
	}
	raw, _ := json.Marshal(far.Answer{Group: "g.r1", Of: of})
	a.command.Lock()
	err := a.noteCopy(t.Context(), g.ID, g.Far[0], far.Answer{Group: "\x1b[2J", ID: g.Far[0].ID, Systems: []array.SystemID{3}, Of: of})
	a.command.Unlock()
	t.Log("an answer of", len(raw), "bytes:", err)
	out, err := a.Run(t.Context(), []string{"growvv", "v", "32"})
	t.Log(out, err)
	end := time.Now().Add(8 * time.Second)
	for b.stored("v").Size != a.stored("v").Size && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
	}
	t.Log(a.stored("v").Size, b.stored("v").Size, len(a.farGroup("g").Far[0].Of), len(b.farGroup("g").Far[0].Of), a.farGroup("g").Far[0].Remote)
	if len(a.farGroup("g").Far[0].Of) > 2 || a.farGroup("g").Far[0].Remote != "g.r1" {
		t.Errorf("the third array's word is stored as it is: name %q, %d volumes of a group of 2", a.farGroup("g").Far[0].Remote, len(a.farGroup("g").Far[0].Of))
	}
}

// TestFarRefusedBeginsUseNothingUp: TestFarCopiesUsedUp with Begin.
func TestFarRefusedBeginsUseNothingUp(t *testing.T) {
	t.Parallel()
	a, _, c := copiedGroup(t)
	for i := range 2000 {
		c.answerFar(t.Context(), 2, far.Request{Kind: far.Begin, Systems: []array.SystemID{2}, Group: array.MakeGroupID(77, uint32(i+1)), Tag: 1})
	}
	a.run("creatercopygroup", "h", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "32", "x", "h")
	a.run("syncrcopy", "-w", "h")
	a.run("admitrcopytarget", "-period", "1h", "far", "periodic", "h")
	if out, err := a.Run(t.Context(), []string{"syncrcopy", "-w", "-t", "far", "h"}); err != nil {
		t.Error(out, err)
	}
}

// TestFarStoredAsNothing: how pages are stored, as no array says it.
func TestFarStoredAsNothing(t *testing.T) {
	t.Parallel()
	for _, like := range []string{`{"provisioning":99}`, `{"provisioning":-1,"compress":true}`, `{"provisioning":"none"}`} {
		_, _, c := withFarArray(t)
		q := far.Request{
			Kind: far.Begin, Group: array.MakeGroupID(1, 77), Name: "gg", Systems: []array.SystemID{1}, Period: 3600, Epoch: 1, Tag: 77,
			Volumes: []far.Volume{{ID: 4711, Name: "zz", Size: 32 << 20, Like: json.RawMessage(like)}},
		}
		ans, err := c.answerFar(t.Context(), 1, q)
		t.Log(like, ans.Run, err)
		out, err := c.Run(t.Context(), []string{"showvv"})
		t.Log(out, err)
		c.Close()
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s: panic at start: %v", like, p)
				}
			}()
			c.open()
		}()
		r, err := c.findGroup("gg.r1")
		if err != nil {
			t.Error("a refused request leaves a group that can't be opened: ", err)
			_, err := c.answerFar(t.Context(), 1, far.Request{Kind: far.Drop, Group: q.Group})
			t.Log("drop:", err)
			_, err = c.Run(t.Context(), []string{"removercopygroup", "-f", "-destroy", "gg.r1"})
			t.Log("removercopygroup:", err)
			continue
		}
		if id := c.recordOf(r).ID; !c.serves(id) {
			time.Sleep(2 * time.Second)
			t.Log("served after the start:", c.serves(id))
		}
	}
}
