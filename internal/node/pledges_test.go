// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"testing"
)

// served returns a pair of arrays of which each serves a group with a volume, v1 here and v2
// there, and v3 is un-mirrored: a set of them is changed by both.
func (x *interrupted) served() (a, b *testArray) {
	a, b = x.all[0], x.all[1]
	for _, g := range []string{"1", "2"} {
		a.run("creatercopygroup", "g"+g, "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "16m", "v"+g, "g"+g)
		a.run("startrcopygroup", "-wait", "g"+g)
	}
	b.run("setrcopygroup", "switchover", "g2")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("v2").Group) })
	a.until("both to know", func() bool { f, err := a.Group("g2"); return err == nil && !f.ServedHere && f.Sync == "Synced" })
	a.run("createvv", "cpg0", "v3", "16m")
	return a, b
}

// members are those of a set as an array has it, "none" if there is no set.
func (a *testArray) members(set string) string {
	s, err := a.volumeSet(set)
	switch {
	case err != nil:
		return err.Error()
	case s == nil:
		return "none"
	}
	return strings.Join(s.Members, ",")
}

// kept reports whether nothing pledged is left.
func (a *testArray) kept() bool {
	a.pledges.mu.Lock()
	defer a.pledges.mu.Unlock()
	return len(a.pledges.all) == 0
}

// TestASetIsChangedWhollyOverADeath: the array ends, or the link is cut for a moment, after some
// of the volumes came into the set, or went: it is finished, or taken back.
func TestASetIsChangedWhollyOverADeath(t *testing.T) {
	t.Parallel()
	x := openInterrupted(t)
	a, b := x.served()
	settled := func(what, want string) {
		t.Helper()
		a.until(what, func() bool { return a.kept() && a.members("s") == want })
		if want == "v1,v2,v3" {
			want = "v1,v2" // v3 is array-a's alone
		}
		b.until(what+" there", func() bool { return b.members("s") == want })
	}
	const create, remove = "createvvset s v1 v3 v2", "removevvset -f s"
	played := func(command string, k int, f fault) {
		t.Helper()
		if _, hit := x.play(twoArrayCommand{name: command, command: command}, k, f); !hit {
			t.Fatalf("%s: exchange %d did not come", command, k)
		}
	}
	// Exchanges: the set, v1, v2 there.
	played(create, 3, thisDies)
	settled("all to be in it", "v1,v2,v3")
	played(remove, 2, thisDies)
	settled("it to be gone", "none")
	played(create, 3, loseRequest)
	settled("it to be taken back", "none")
	played(create, 3, loseAnswer)
	settled("it to be taken back again", "none")
	a.run(strings.Fields(create)...)
	played(remove, 2, loseAnswer)
	settled("it to be there again", "v1,v2,v3")
	a.run(strings.Fields(remove)...)
	settled("it to be removed", "none")
	x.agree()
	x.check()
}

// TestASetIsRefusedBeforeItIsChanged: what is in the way of one volume is in the way of all.
func TestASetIsRefusedBeforeItIsChanged(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createvv", "cpg0", "v", "16m")
	a.run("createvv", "cpg0", "w", "16m")
	for i := range maxSetsOfVV {
		a.run("createvvset", fmt.Sprint("s", i), "w")
	}
	a.refuses("w is in 32 volume sets", "createvvset", "all", "v", "w")
	if got := a.members("all"); got != "none" {
		t.Errorf("set all has %s", got)
	}
}
