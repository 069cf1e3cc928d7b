// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
)

// followingPair is a pair whose group follows one on a third array.
func followingPair(t *testing.T) (a, b, c *testArray) {
	a, b, c = copiedGroup(t)
	a.run("setrcopygroup", "reverse", "-t", "far", "g")
	c.write("v", 0, pagesOfByte(3, 4))
	c.run("syncrcopy", "-w", "-t", "array-a", "g.r1")
	return a, b, c
}

// TestACopyOfAPairSwitchesOver: a copy that a pair keeps goes to the pair's other array.
func TestACopyOfAPairSwitchesOver(t *testing.T) {
	t.Parallel()
	a, b, c := followingPair(t)
	a.run("setrcopygroup", "switchover", "g")
	b.until("b serves", func() bool { return b.serves(b.stored("v").Group) })
	c.run("syncrcopy", "-w", "-t", "array-b", "g.r1")
}

// TestACopyOfAPairIsForced: the source and the array that keeps the copy are lost; the other array
// of the pair was not chosen in advance. What it has is all that is left of the data.
func TestACopyOfAPairIsForced(t *testing.T) {
	t.Parallel()
	a, b, c := followingPair(t)
	c.Close()
	a.Close()
	b.until("alone", func() bool { return !b.reachable() && !b.fars()[0].tie.Reachable() })
	_, err := b.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g"})
	if err == nil {
		t.Error("an array that may not serve let its copy go on")
	}
	_, err = b.Run(t.Context(), []string{"setrcopygroup", "override", "-f", "g"})
	t.Log("override -f:", err)
	_, err = b.Run(t.Context(), []string{"setrcopygroup", "failover", "-f", "g"})
	t.Log("failover -f:", err)
	if err != nil {
		t.Error("the data can't be had")
	}
}

// TestFarFollowCalledAsAnother: system 3 says, by Follow, that the new source of g has the id
// that system 4's group is known by here.
func TestFarFollowCalledAsAnother(t *testing.T) {
	t.Parallel()
	a, _, _ := copiedGroup(t)
	a.run("creatercopygroup", "z", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16", "x", "z")
	a.run("syncrcopy", "-w", "z")
	r, _ := a.findGroup("z")
	const theirs = array.GroupID(4<<48 | 77)
	a.command.Lock()
	err := a.changeRecord(t.Context(), r, func(g *RCGroup) error {
		g.Far = []Far{{Systems: []array.SystemID{4}, Remote: "z.r1", ID: theirs, Copy: true, Period: 3600}}
		return nil
	})
	a.command.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.answerFar(t.Context(), 4, far.Request{Kind: far.Look, Group: theirs}); err != nil {
		t.Fatal(err)
	}
	a.run("stoprcopygroup", "-f", "-t", "far", "g")
	_, err = a.answerFar(t.Context(), 3, far.Request{Kind: far.Follow, Group: theirs, Name: "g.r1", Tag: a.farGroup("g").Far[0].Done.tag()})
	t.Log("follow:", err)
	if _, err := a.answerFar(t.Context(), 4, far.Request{Kind: far.Look, Group: theirs}); err != nil {
		t.Errorf("system 4 asks of its own group: %v", err)
	}
}
