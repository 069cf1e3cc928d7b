// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// Mode is how an array takes part in its group.
type Mode uint8

// The modes.
const (
	// Held: nothing is accepted, placed or committed.
	Held Mode = iota
	// Paired: a member with the other.
	Paired
	// Alone: the only member.
	Alone
	// Out: not a member; follows the other's order to become one.
	Out
)

// View is what arbitration lets the core do. Views are accepted only forward.
type View struct {
	Mode   Mode
	Epoch  array.Epoch
	Opener array.Side
}

// Core is the log of one group on one array. It is not safe for concurrent use.
type Core struct {
	self array.Side
	view View

	segments []Segment
	end      array.Position // last record handed to the own journal
	durable  array.Place    // of the own journal
	commit   array.Place
	paged    array.Place // see OnPages
	// committed is the other's word of its commit place, for those who follow.
	told array.Place

	// met: the ends were compared in this contact; peer is what the other's journal
	// holds durably, target what both must hold before the owner may open a term.
	met          bool
	peer, target array.Place
	// ready: this side owns the group and its term is open.
	ready bool
	// barrier is the place of the owner entry that must commit first; 0 if none.
	barrier array.Place
}

// New returns a core whose log is described by segments; everything of it is
// durable. commit is what is known to be committed.
func New(self array.Side, segments []Segment, commit array.Place) *Core {
	c := &Core{self: self, segments: append([]Segment(nil), segments...), commit: commit, told: commit}
	if n := len(segments); n > 0 {
		s := segments[n-1]
		c.end = array.Position{Epoch: s.Epoch, Term: s.Term, Place: s.Last}
		c.durable = s.Last
	}
	return c
}

// Segments returns the description of the log. The caller must not change it.
func (c *Core) Segments() []Segment { return c.segments }

// End returns the position of the last record handed to the journal.
func (c *Core) End() array.Position { return c.end }

// Commit returns the place up to which all is committed.
func (c *Core) Commit() array.Place { return c.commit }

// OnPages says up to where some of the log is on pages, which can't be cut, though all of it
// may be only up to an earlier place: the group's pages lie in several pools.
func (c *Core) OnPages(place array.Place) { c.paged = min(place, c.end.Place) }

// Kept returns the place below which the log can't be cut.
func (c *Core) Kept() array.Place { return max(c.commit, c.paged) }

// Durable returns the durable end of the own journal.
func (c *Core) Durable() array.Place { return c.durable }

// Peer returns what the other's journal is known to hold, in this contact.
func (c *Core) Peer() array.Place { return c.peer }

// Met reports whether the ends were compared in this contact.
func (c *Core) Met() bool { return c.met }

// Ready reports whether Place is allowed.
func (c *Core) Ready() bool { return c.ready }

// Reconciled reports whether the owner's term is open: reads are whole.
func (c *Core) Reconciled() bool {
	return c.ready || c.view.Mode == Paired && c.met && c.Owner() != c.self
}

// Even reports whether both journals hold all that either held when the ends were
// compared.
func (c *Core) Even() bool { return c.met && c.durable >= c.target && c.peer >= c.target }

// Owner returns the owner by the last owner entry of the log, or who opens the epoch.
func (c *Core) Owner() array.Side {
	if n := len(c.segments); n > 0 && c.segments[n-1].Epoch == c.view.Epoch {
		return c.segments[n-1].Owner
	}
	return c.view.Opener
}

// CommittedOwner returns the owner by the last committed owner entry.
func (c *Core) CommittedOwner() array.Side {
	owner, start := c.view.Opener, array.Place(0)
	for _, s := range c.segments {
		if s.Epoch == c.view.Epoch && start < c.commit {
			owner = s.Owner
		}
		start = s.Last
	}
	return owner
}

// SetView takes a new view. It reports whether the ends must be compared again.
func (c *Core) SetView(v View) (changed bool) {
	if v == c.view || v.Epoch < c.view.Epoch {
		return false
	}
	c.view = v
	c.ready, c.barrier, c.met = false, 0, false
	c.peer, c.target = 0, 0
	c.told = c.commit // what another view committed says nothing of this one
	c.advance()
	return true
}

// Lost: the connection broke; what the other holds must be learned again.
func (c *Core) Lost() {
	c.met, c.peer, c.target = false, 0, 0
	c.told = c.commit
	if c.view.Mode == Paired {
		c.ready, c.barrier = false, 0
	}
}

// Meeting is what comparing the ends leads to.
type Meeting struct {
	// Cut: this side's log goes on elsewhere than the other's; drop what is beyond
	// After durably, then meet again.
	Cut   bool
	After array.Place
	// Send: the other lacks what is beyond this place.
	Send array.Place
	// Whole: the other shares nothing that is known; copy it whole.
	Whole bool
	// Lost: the other's journal ends below what it once acknowledged; it was restored,
	// or its disk lies. It must be left out and return as one that was.
	Lost bool
}

// Quiet reports whether the journal holds all that was handed to it. Only a quiet
// log may be described to the other array or compared with its description.
func (c *Core) Quiet() bool { return c.durable == c.end.Place }

// Meet compares the own log with the other's. The longer log is the log; between
// a serving array and one that is out, the serving one's is. whole says that the
// other's copy is known to have held all that is committed.
func (c *Core) Meet(theirs []Segment, whole bool) (Meeting, error) {
	var end array.Position
	if n := len(theirs); n > 0 {
		end = array.Position{Epoch: theirs[n-1].Epoch, Term: theirs[n-1].Term, Place: theirs[n-1].Last}
	}
	fork := Fork(c.segments, theirs)
	beyondMine, beyondTheirs := c.end.Place > fork, end.Place > fork
	cutMine := beyondMine && (c.view.Mode == Out || c.view.Mode == Paired && beyondTheirs && c.end.Compare(end) < 0)
	if cutMine {
		if kept := c.Kept(); fork < kept {
			return Meeting{}, fmt.Errorf("log of this array forked at place %d, but %d was committed here: 'setrcopygroup discard' on the array that does not serve takes its copy anew", fork, kept)
		}
		return Meeting{Cut: true, After: fork}, nil
	}
	if beyondMine && beyondTheirs {
		return Meeting{}, nil // the other cuts and comes again
	}
	if c.view.Mode == Held {
		return Meeting{}, nil
	}
	if c.view.Mode == Paired && whole && fork < c.commit {
		return Meeting{Lost: true}, nil
	}
	c.met = true
	c.peer = fork
	if !beyondMine {
		c.peer = end.Place // filled up to there, this side shares it
	}
	c.target = max(c.end.Place, end.Place)
	c.advance()
	return Meeting{Send: fork, Whole: fork == 0 && c.end.Place > 0}, nil
}

// CutDone: the journal was cut durably after place.
func (c *Core) CutDone(after array.Place) {
	c.segments = CutSegments(c.segments, after)
	c.durable = min(c.durable, after)
	c.end = array.Position{}
	if n := len(c.segments); n > 0 {
		s := c.segments[n-1]
		c.end = array.Position{Epoch: s.Epoch, Term: s.Term, Place: s.Last}
	}
	c.told = min(c.told, after)
}

// Rebase: this copy was made anew and stands where the other's log stood at the
// last place of segments.
func (c *Core) Rebase(segments []Segment) {
	view := c.view
	*c = *New(c.self, segments, 0)
	c.view, c.met = view, true
	c.commit, c.told = c.durable, c.durable
}

// PeerRebased: the other's copy was made anew and stands at place.
func (c *Core) PeerRebased(place array.Place) { c.peer = place }

// Reading reports whether this side is a member, whose copy is not to be replaced.
func (c *Core) Reading() bool { return c.view.Mode != Out }

// MustOpen reports whether this side should place an owner entry naming itself now.
func (c *Core) MustOpen() bool {
	if c.ready || c.barrier != 0 || c.Owner() != c.self {
		return false
	}
	switch c.view.Mode {
	case Alone:
		return c.durable == c.end.Place
	case Paired:
		return c.met && c.durable == c.end.Place && c.durable >= c.target && c.peer >= c.target
	}
	return false
}

// PlaceOwner gives an owner entry its position: a new term, and a barrier.
func (c *Core) PlaceOwner(owner array.Side) (array.Position, error) {
	if !c.ready && !c.MustOpen() {
		return array.Position{}, fmt.Errorf("place owner entry: this side does not own the group's open term")
	}
	c.ready = false
	p := array.Position{Epoch: c.view.Epoch, Term: c.end.Term + 1, Place: c.end.Place + 1}
	c.barrier = p.Place
	c.take(p, owner)
	return p, nil
}

// Place gives a record its position.
func (c *Core) Place() (array.Position, error) {
	if !c.ready {
		return array.Position{}, fmt.Errorf("place record: the group's term is not open on this side")
	}
	p := c.end
	p.Place++
	c.take(p, c.self)
	return p, nil
}

func (c *Core) take(p array.Position, owner array.Side) {
	c.end = p
	c.segments = Extend(c.segments, p, owner)
}

// Verdict says what to do with a record from the other array.
type Verdict uint8

// The verdicts.
const (
	// Refuse: of another epoch, or this side accepts nothing now.
	Refuse Verdict = iota
	// Have: the journal holds it already; acknowledge again.
	Have
	// Gap: something before it is missing; ask for it.
	Gap
	// Take: hand it to the journal.
	Take
)

// Receive judges a record of the other array, sent in the sender's epoch view.
// owner is who owns the record's term, as the frame says.
func (c *Core) Receive(view array.Epoch, p array.Position, owner array.Side, commit array.Place) Verdict {
	if view != c.view.Epoch || c.view.Mode != Paired && c.view.Mode != Out || !c.met {
		return Refuse
	}
	c.told = max(c.told, commit)
	defer c.advance()
	switch {
	case p.Place <= c.end.Place:
		return Have
	case p.Place != c.end.Place+1:
		return Gap
	case p.Epoch < c.end.Epoch || p.Term < c.end.Term || p.Epoch > view:
		return Refuse
	}
	c.take(p, owner)
	return Take
}

// Durable: the own journal holds all up to place.
func (c *Core) JournalHolds(place array.Place) {
	c.durable = max(c.durable, min(place, c.end.Place))
	c.advance()
}

// PeerHolds: the other's journal holds all up to place, said in epoch.
func (c *Core) PeerHolds(epoch array.Epoch, place array.Place) {
	if epoch != c.view.Epoch || !c.met {
		return
	}
	c.peer = max(c.peer, min(place, c.end.Place))
	c.advance()
}

// Told: the owner says that all up to place is committed, in epoch.
func (c *Core) Told(epoch array.Epoch, place array.Place) {
	if epoch != c.view.Epoch || !c.met {
		return
	}
	c.told = max(c.told, place)
	c.advance()
}

// advance computes the commit place and opens or hands over the term.
func (c *Core) advance() {
	n := c.commit
	switch c.view.Mode {
	case Alone:
		n = c.durable
	case Paired:
		if c.met {
			n = min(c.durable, max(c.peer, min(c.told, c.durable)))
		}
	case Out:
		if c.met {
			n = min(c.durable, c.told)
		}
	}
	c.commit = max(c.commit, n)
	last := len(c.segments) - 1
	if last < 0 || c.segments[last].Epoch != c.view.Epoch {
		return
	}
	start := array.Place(1)
	if last > 0 {
		start = c.segments[last-1].Last + 1
	}
	entryCommitted := c.commit >= start
	switch {
	case c.barrier != 0 && c.commit >= c.barrier:
		c.barrier = 0
		c.ready = c.segments[last].Owner == c.self
	case !c.ready && entryCommitted && c.segments[last].Owner == c.self && c.view.Mode == Paired && c.met &&
		c.told >= start && c.target < start:
		// The giver's word that both journals hold the entry that names this side.
		c.ready = true
	}
}

// Untake undoes the Take that Receive answered last: the journal had no room.
func (c *Core) Untake() {
	n := len(c.segments) - 1
	c.end.Place--
	first := array.Place(0)
	if n > 0 {
		first = c.segments[n-1].Last
	}
	if c.segments[n].Last--; c.segments[n].Last == first {
		c.segments = c.segments[:n]
		c.end = array.Position{}
		if n > 0 {
			s := c.segments[n-1]
			c.end = array.Position{Epoch: s.Epoch, Term: s.Term, Place: s.Last}
		}
	}
}
