// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// opened is a core of side A that owns an open term of epoch and has n records more,
// all in its own journal and none known to be in the other's.
func opened(t *testing.T, c *Core, v View, n int) {
	t.Helper()
	c.SetView(v)
	if v.Mode == Paired {
		if _, err := c.Meet(c.Segments(), false); err != nil {
			t.Fatal(err)
		}
	}
	if !c.MustOpen() {
		t.Fatal("can't open a term")
	}
	p, err := c.PlaceOwner(array.SideA)
	if err != nil {
		t.Fatal(err)
	}
	c.JournalHolds(p.Place)
	c.PeerHolds(v.Epoch, p.Place)
	for range n {
		if p, err = c.Place(); err != nil {
			t.Fatal(err)
		}
	}
	c.JournalHolds(p.Place)
}

func TestCommitNeedsBothJournals(t *testing.T) {
	c := New(array.SideA, nil, 0)
	opened(t, c, View{Mode: Paired, Epoch: 2}, 5)
	if c.Commit() != 1 {
		t.Errorf("committed %d, the other holds 1", c.Commit())
	}
	c.PeerHolds(2, 3)
	c.PeerHolds(1, 6) // of another epoch
	if c.Commit() != 3 {
		t.Errorf("committed %d, the other holds 3", c.Commit())
	}
	c.PeerHolds(2, 100) // more than there is
	if c.Commit() != 6 {
		t.Errorf("committed %d of 6", c.Commit())
	}
}

func TestAloneCommitsWhatIsDurable(t *testing.T) {
	c := New(array.SideA, nil, 0)
	opened(t, c, View{Mode: Alone, Epoch: 1}, 5)
	if c.Commit() != 6 {
		t.Errorf("committed %d of 6", c.Commit())
	}
	if _, err := c.Place(); err != nil || c.Commit() != 6 {
		t.Errorf("%v, committed %d, 6 are durable", err, c.Commit())
	}
}

// What an owner once said of its commit place holds in its own epoch only: an array
// that was told of more than it has, and then owns the group, must not take that for
// the other's word.
func TestWhatWasToldEndsWithTheEpoch(t *testing.T) {
	theirs := []Segment{{Epoch: 1, Term: 1, Owner: array.SideB, Last: 500}}
	c := New(array.SideA, theirs, 400)
	c.SetView(View{Mode: Out, Epoch: 1, Opener: array.SideB})
	if _, err := c.Meet(theirs, false); err != nil {
		t.Fatal(err)
	}
	c.Told(1, 1000)
	if c.Commit() != 500 {
		t.Fatalf("committed %d of 500", c.Commit())
	}
	opened(t, c, View{Mode: Paired, Epoch: 3}, 3)
	c.PeerHolds(3, 502)
	if c.Commit() != 502 {
		t.Errorf("committed %d, the other holds 502", c.Commit())
	}
	c.Lost()
	if c.Commit() != 502 || c.Ready() {
		t.Errorf("committed %d, ready %v after the contact was lost", c.Commit(), c.Ready())
	}
}

func TestRecordsInOrderAndOfThisEpochOnly(t *testing.T) {
	c := New(array.SideA, nil, 0)
	c.SetView(View{Mode: Out, Epoch: 4, Opener: array.SideB})
	at := func(e array.Epoch, term array.Term, p array.Place) array.Position {
		return array.Position{Epoch: e, Term: term, Place: p}
	}
	if got := c.Receive(4, at(4, 1, 1), array.SideB, 0); got != Refuse {
		t.Errorf("before the logs were compared: %v", got)
	}
	if _, err := c.Meet(nil, false); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		view array.Epoch
		pos  array.Position
		want Verdict
	}{
		{3, at(3, 1, 1), Refuse},
		{4, at(4, 1, 2), Gap},
		{4, at(4, 1, 1), Take},
		{4, at(4, 1, 1), Have},
		{4, at(5, 2, 2), Refuse}, // from beyond the view
		{4, at(4, 2, 2), Take},
		{4, at(4, 1, 3), Refuse}, // an old term
		{4, at(4, 2, 3), Take},
	} {
		if got := c.Receive(step.view, step.pos, array.SideB, 0); got != step.want {
			t.Errorf("step %d, %v in view %d: %v, want %v", i, step.pos, step.view, got, step.want)
		}
	}
	c.Untake()
	if c.End() != at(4, 2, 2) {
		t.Errorf("after giving the last back the log ends at %v", c.End())
	}
}

func TestForksAreFoundAndCut(t *testing.T) {
	shared := Segment{Epoch: 1, Term: 1, Owner: array.SideA, Last: 10}
	mine := []Segment{shared, {Epoch: 1, Term: 2, Owner: array.SideA, Last: 14}}
	theirs := []Segment{{Epoch: 1, Term: 1, Owner: array.SideA, Last: 9}, {Epoch: 2, Term: 3, Owner: array.SideB, Last: 20}}
	if f := Fork(mine, theirs); f != 9 {
		t.Errorf("fork at %d", f)
	}
	c := New(array.SideA, mine, 9)
	c.SetView(View{Mode: Out, Epoch: 2, Opener: array.SideB})
	m, err := c.Meet(theirs, false)
	if err != nil || !m.Cut || m.After != 9 {
		t.Fatalf("%+v, %v", m, err)
	}
	c.CutDone(m.After)
	if m, err = c.Meet(theirs, false); err != nil || m.Cut || !c.Met() || c.End().Place != 9 {
		t.Fatalf("after the cut: %+v, %v, end %v", m, err, c.End())
	}
	c = New(array.SideA, mine, 12)
	c.SetView(View{Mode: Out, Epoch: 2, Opener: array.SideB})
	if _, err := c.Meet(theirs, false); err == nil {
		t.Error("what was committed here is to be cut, and nobody says so")
	}
}

func TestAMemberThatLostSomethingIsFoundOut(t *testing.T) {
	c := New(array.SideA, []Segment{{Epoch: 2, Term: 1, Owner: array.SideA, Last: 30}}, 30)
	c.SetView(View{Mode: Paired, Epoch: 2})
	m, err := c.Meet([]Segment{{Epoch: 2, Term: 1, Owner: array.SideA, Last: 20}}, true)
	if err != nil || !m.Lost || c.Met() {
		t.Errorf("%+v, %v, met %v", m, err, c.Met())
	}
}
