// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"slices"
	"sort"

	"github.com/perdure/perdure/internal/array"
)

// group is what the journal knows of one group.
//
// Invariant: base.Place <= min(durable, tail.Place), and the runs hold exactly the
// places base.Place+1 ... durable, in order, each in the segment it lies in, but
// that the first run may begin at or below base.Place.
type group struct {
	id   array.GroupID
	base array.Position
	// tail is the last position that was accepted, durable or not.
	tail array.Position
	// durable is the last place that the disk holds. It may be beyond tail while a
	// cut is on its way.
	durable array.Place
	// born is where the group's base record lies.
	born location
	cuts []cut
	runs []run
	// cutting says that a cut is on its way, gone that a new base or a Forget is,
	// touched that the batch being settled has a record of the group.
	cutting, gone, touched bool
	// outs are the payloads outside, of places after base.
	outs []outsider
	// spans has the first place of each (epoch, term), from base on.
	spans []array.Position
}

// run is a piece of a group's log that lies in one segment.
type run struct {
	seg   *segment
	first array.Place
	offs  []uint32 // in units of recordAlign, one per place
}

func (r *run) last() array.Place { return r.first + array.Place(len(r.offs)) - 1 }

func newGroup(id array.GroupID, base array.Position) *group {
	return &group{id: id, base: base, tail: base, durable: base.Place, spans: []array.Position{base}}
}

// accept notes that a record at p is on its way.
func (g *group) accept(p array.Position) {
	if p.Epoch != g.tail.Epoch || p.Term != g.tail.Term {
		g.spans = append(g.spans, p)
	}
	g.tail = p
}

// position returns place p with its epoch and term; p is from base to tail.
func (g *group) position(p array.Place) array.Position {
	i := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].Place > p })
	at := g.spans[max(i-1, 0)]
	at.Place = p
	return at
}

// last returns the last durable position.
func (g *group) last() array.Position { return g.position(min(g.durable, g.tail.Place)) }

// add notes that the record of the next place is durable at off of seg.
func (g *group) add(seg *segment, off int64, p array.Place) {
	n := len(g.runs)
	if n == 0 || g.runs[n-1].seg != seg || g.runs[n-1].last()+1 != p {
		g.runs = append(g.runs, run{seg: seg, first: p})
		seg.runs++
		n++
	}
	r := &g.runs[n-1]
	r.offs = append(r.offs, uint32(off/recordAlign))
	g.durable = p
	seg.high[g.id] = max(seg.high[g.id], p)
}

// release moves the base up to place p.
func (g *group) release(p array.Place) {
	if p <= g.base.Place {
		return
	}
	g.base = g.position(p)
	i := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].Place > p })
	g.spans = append([]array.Position{g.base}, g.spans[i:]...)
	k := 0
	for ; k < len(g.runs) && g.runs[k].last() <= p; k++ {
		g.runs[k].seg.runs--
	}
	g.runs = slices.Delete(g.runs, 0, k)
}

// retract makes place p the tail: what a cut does to records on their way.
func (g *group) retract(p array.Place) {
	g.tail = g.position(p)
	i := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].Place > p })
	g.spans = g.spans[:max(i, 1)]
}

// truncate forgets the durable records beyond place p.
func (g *group) truncate(p array.Place) {
	n := len(g.runs)
	for ; n > 0 && g.runs[n-1].first > p; n-- {
		g.runs[n-1].seg.runs--
	}
	g.runs = slices.Delete(g.runs, n, len(g.runs))
	if n > 0 && g.runs[n-1].last() > p {
		r := &g.runs[n-1]
		n := p - r.first + 1
		r.offs = r.offs[:n:n] // a reader may hold what is behind
	}
	g.durable = min(g.durable, p)
}

// drop forgets all records, and returns what they named outside.
func (g *group) drop() []Outside {
	for _, r := range g.runs {
		r.seg.runs--
	}
	g.runs = nil
	return g.letGo(0, g.base.Place)
}

// alive reports whether a record of place p at l still counts after all that was
// written behind it.
func (g *group) alive(p array.Place, l location) bool {
	if l.before(g.born) || p <= g.base.Place {
		return false
	}
	for _, c := range g.cuts {
		if l.before(c.at) && p > c.after {
			return false
		}
	}
	return true
}
