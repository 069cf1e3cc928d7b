// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
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

// TestASetIsAdmittedWhollyOverADeath: what is to be admitted is stored before the first volume is,
// and an array that died after that one goes on with the others at its next start.
func TestASetIsAdmittedWhollyOverADeath(t *testing.T) {
	t.Parallel()
	var a *testArray
	var pledged atomic.Value // of the command that is given
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
			if ctx.Value(stoppable{}) != nil {
				if err := a.store.View(func(t *store.Tx) error {
					return tables.pledges.Each(t, func(_ string, p pledge) error { pledged.Store(p); return nil })
				}); err != nil {
					return nil, err
				}
			}
			return ask()
		}
	})
	a = as[0]
	a.run("createhost", "h", "iqn.2026-01.org.example:h")
	a.run("creatercopygroup", "g2", "array-b:sync")
	for _, set := range []string{"s1", "s2"} {
		vvs := []string{set + "p", set + "q", set + "r"}
		for _, v := range vvs {
			a.run("createvv", "cpg0", v, "16m")
			a.run("createvlun", v, "auto", "h")
		}
		a.run(append([]string{"createvvset", set}, vvs...)...)
	}
	for _, c := range [][]string{{"protectvvset", "s1", "g1", "array-b:sync"}, {"admitrcopyvv", "-createvv", "set:s2", "g2"}} {
		if _, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), c); err != nil {
			t.Fatal(err)
		}
		p, _ := pledged.Load().(pledge)
		if !strings.HasPrefix(p.Text, c[0]) || len(p.Steps) != 3 {
			t.Fatalf("%v: pledged is %+v", c, p)
		}
		set, g := c[1], c[2]
		if c[0] == "admitrcopyvv" {
			set, g = "s2", "g2"
		}
		in := func() int {
			f, err := a.Group(g)
			if err != nil {
				return -1
			}
			return len(f.VVs)
		}
		a.until("all to be in the group", func() bool { return in() == 3 && a.stored(set+"r").Joined != 0 && a.stored(set+"q").Joined != 0 })
		a.run("dismissrcopyvv", "-f", "-keepvv", "-wait", set+"r", g) // as if it had not been reached
		a.until("one to be out of it", func() bool { return in() == 2 })
		if err := a.store.Update(func(t *store.Tx) error { return p.put(t) }); err != nil {
			t.Fatal(err)
		}
		a.Close()
		a.open()
		a.until("the other to be admitted", func() bool { return in() == 3 && a.kept() })
	}
}

// TestAGroupThatIsGoneKeepsNoOtherStopped: what stoprcopy takes back is taken back for each group,
// whatever became of others.
func TestAGroupThatIsGoneKeepsNoOtherStopped(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 2, quick)[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("stoprcopygroup", "-f", "g")
	a.run("createvv", "cpg0", "w", "16m") // which stands for a group that a person must see to first
	a.run("createhost", "h", iqn1)
	a.run("createvlun", "w", "1", "h")
	p := &pledge{By: Caller{User: "bob", Grants: people.Grants{Role: people.Super}}, Text: "stoprcopy -f -stopgroups", Each: true, Steps: [][]string{
		{"removevv", "-f", "w"}, {"startrcopygroup", "gone"}, {"startrcopygroup", "-nothing", "g"}, {"startrcopygroup", "g"},
	}}
	if err := a.store.Update(p.put); err != nil {
		t.Fatal(err)
	}
	a.leaveTo(p, nil)
	a.until("g to be started", func() bool { f, err := a.Group("g"); return err == nil && !f.Stopped })
	a.until("the rest to wait", func() bool {
		a.pledges.mu.Lock()
		defer a.pledges.mu.Unlock()
		return len(a.pledges.all) == 1 && fmt.Sprint(a.pledges.all[0].Steps) == "[[removevv -f w]]"
	})
	a.run("removevlun", "-f", "w", "1", "h")
	a.until("it to be kept", a.kept)
	if _, _, err := a.vv("w"); err == nil {
		t.Error("what waited was not done")
	}
	if len(a.told("a part of it is done, and the rest is refused: stoprcopy -f -stopgroups: startrcopygroup -nothing g: ")) != 1 {
		t.Error("nobody is told of what was refused")
	}
}

// TestOnePledgeDoesNotHoldUpTheOthers: one that waits is not tried twice at once, and of more than can
// be tried at once all have their turn.
func TestOnePledgeDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	l := &pledges{}
	for i := range pledgesAtOnce + 3 {
		l.all = append(l.all, &openPledge{pledge: pledge{ID: uint64(i)}})
	}
	first := l.next()
	if len(first) != pledgesAtOnce || len(l.next()) != 0 {
		t.Fatalf("%d at once", len(first))
	}
	for _, p := range first[1:] { // the first one waits
		l.tried(p, &p.pledge, nil)
	}
	var ids []uint64
	for _, p := range l.next() {
		ids = append(ids, p.ID)
	}
	if want := fmt.Sprint([]uint64{16, 17, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}); fmt.Sprint(ids) != want {
		t.Errorf("then %v, want %v", ids, want)
	}
	l.tried(first[0], nil, nil)
	if now := l.next(); len(now) != 1 || now[0].ID != 13 {
		t.Errorf("and then %d", len(now))
	}
}
