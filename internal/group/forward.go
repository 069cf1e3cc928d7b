// SPDX-License-Identifier: Apache-2.0

package group

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// The array that shares a group sends a host's write to the owner, with its data. The
// owner gives it its place and says so at once; both journal it at the same time, this
// one from the data it has. It is answered here once both journals hold it: one round
// trip after it left.
//
// Every attempt has a number of its own, which the record keeps. An attempt is made
// again, under another number, only when the first is known to have no place: the owner
// said so; or this side orders now and holds all that was placed before; or the owner,
// who forgets in every new contact and view what it was asked and has not placed, has
// begun a new term in this one.

// maxForwards bounds the writes that wait for the owner's word.
const maxForwards = 1024

// forwards are the writes that were sent to the owner and have no place yet.
type forwards struct {
	byID  map[uint64]*work
	last  uint64
	bytes int64
	// allowed bounds bytes. full: one does not fit, so no later one with data goes before
	// it in this turn.
	allowed allowance
	full    bool
}

// attempt is what is remembered of a forwarded write.
type attempt struct {
	id    uint64
	talk  uint64
	epoch array.Epoch
	sent  time.Time
}

// forwardMutation sends w to the owner. It reports whether w waits no longer here.
func (g *Group) forwardMutation(w *work) bool {
	size := w.m.Length
	if w.m.Data == nil {
		size = 0
	}
	if len(g.forwards.byID) >= maxForwards || size > 0 && g.forwards.full || g.crowded() {
		return false
	}
	if g.forwards.bytes > 0 && g.forwards.bytes+size > g.forwards.allowed.size() {
		g.forwards.full = true
		return false
	}
	g.stale(w)
	g.unbusy(w)
	if ends, room := g.spacious(w); !room {
		return ends
	}
	p, ok := g.forwardPacket(w)
	if !ok {
		return false // the other array's clock is not known yet
	}
	if g.forwards.last == 0 {
		g.forwards.last = nonce() >> 1
	}
	g.forwards.last++
	w.attempt = attempt{id: g.forwards.last, talk: g.talk, epoch: g.view.Epoch, sent: g.cfg.Now()}
	binary.BigEndian.PutUint64(p.Tag[:8], w.attempt.id)
	g.forwards.byID[w.attempt.id] = w
	g.forwards.bytes += size
	g.sends = append(g.sends, p)
	return true
}

// forwardPacket is w as it goes to the owner: Position has the epoch, the reservations'
// revision under which its rights were checked, and the newest reading of the owner's
// clock that has come here; Commit is how old the command is.
func (g *Group) forwardPacket(w *work) (Packet, bool) {
	stamp := g.cfg.Peer.Stamp()
	if stamp <= 0 {
		return Packet{}, false
	}
	p := Packet{
		Type: PacketForward, Epoch: g.view.Epoch, Kind: journal.Kind(w.m.Kind), Volume: w.unit.id.Volume,
		Offset: w.m.Offset, Length: w.m.Length, Commit: array.Place(max(g.cfg.Now().Sub(w.op.Arrived), 0)),
		Pos: array.Position{Epoch: g.view.Epoch, Term: array.Term(w.op.Generation), Place: array.Place(stamp)},
	}
	switch w.m.Kind {
	case scsi.Zero, scsi.Unmap:
	case scsi.CompareAndWrite:
		p.Body = encodeCompare(w)
	default:
		w.m.Data.Retain()
		p.Buf = w.m.Data
	}
	return p, true
}

// encodeCompare is what a COMPARE AND WRITE needs at the owner beside its range.
func encodeCompare(w *work) []byte {
	who, err := json.Marshal(w.op.Nexus)
	if err != nil {
		who = []byte("{}") // two plain fields: can't be
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(who)))
	b = append(append(b, who...), w.m.Compare.Bytes()...)
	return append(b, w.m.Data.Bytes()...)
}

// decodeCompare is the reverse, for n bytes of each half.
func decodeCompare(b []byte, n int64) (who reservation.Nexus, compare, data []byte, ok bool) {
	if len(b) < 4 {
		return who, nil, nil, false
	}
	size := int64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n <= 0 || size > int64(len(b)) || int64(len(b))-size != 2*n || json.Unmarshal(b[:size], &who) != nil {
		return who, nil, nil, false
	}
	return who, b[size : size+n], b[size+n:], true
}

// attemptOf returns the write of this array that a record from the owner is, if any.
func (g *Group) attemptOf(tag [16]byte) *work {
	id := binary.BigEndian.Uint64(tag[:8])
	if id == 0 || len(g.forwards.byID) == 0 {
		return nil
	}
	return g.forwards.byID[id]
}

// settled takes a write off the list: it has its place, its answer, or another turn.
func (g *Group) settled(w *work) {
	delete(g.forwards.byID, w.attempt.id)
	if w.m.Data != nil {
		g.forwards.bytes -= w.m.Length
	}
	w.attempt = attempt{}
}

// answered takes a write off the list for which the owner had a word.
func (g *Group) answered(w *work) {
	if w.m.Data != nil {
		g.forwards.allowed.answered(w.m.Length, w.attempt.sent, g.cfg.Now())
	}
	g.settled(w)
}

// takePlaced makes a whole record of the owner's word that a write of this array has its
// place. It reports false if the data aren't here: then they must be sent.
func (g *Group) takePlaced(p *Packet) bool {
	w := g.attemptOf(p.Tag)
	if w == nil || w.unit.id.Volume != p.Volume || w.m.Offset != p.Offset || w.m.Length != p.Length {
		return false
	}
	if (p.Kind == journal.Data) != (w.m.Data != nil) {
		return false
	}
	p.Buf = w.m.Data
	return true
}

// takeRefused takes the owner's word that a write got no place.
func (g *Group) takeRefused(p Packet) {
	w := g.attemptOf(p.Tag)
	if w == nil || p.Epoch != g.view.Epoch {
		return
	}
	g.answered(w)
	switch kind := array.Kind(p.Length); {
	case kind == 0: // what it was to do had been done: a repeat
		w.finish(nil)
	case elsewhere(kind):
		g.waiting = append(g.waiting, w)
	case kind == array.Conflict:
		// The owner knows of a change of the reservations. It is on its way here, and its
		// rights are checked anew once it has come.
		w.outdated = true
		g.waiting = append(g.waiting, w)
	default:
		w.finish(&array.Error{Kind: kind, Text: string(p.Body), Offset: p.Offset})
	}
}

// settleForwards makes up its mind about writes whose contact or epoch is over.
func (g *Group) settleForwards() {
	if len(g.forwards.byID) == 0 {
		return
	}
	switch g.view.Role {
	case arb.Out:
		g.endForwards(func(w *work) bool {
			w.finish(g.refusal(gateStandby))
			return true
		})
	case arb.Alone, arb.Paired:
		if g.core.Ready() {
			g.endForwards(g.anew)
			return
		}
		if g.view.Role == arb.Paired && g.core.Met() && g.core.Owner() != g.cfg.Self && g.termStretch == g.stretch {
			g.endForwards(func(w *work) bool {
				return (w.attempt.talk != g.talk || w.attempt.epoch != g.view.Epoch) && g.anew(w)
			})
		}
	}
}

// anew lets a write wait for its place again.
func (g *Group) anew(w *work) bool {
	g.settled(w)
	g.waiting = append(g.waiting, w)
	return true
}

// endForwards calls end for all, in the order in which they were sent. It takes off those
// for which it says so.
func (g *Group) endForwards(end func(*work) bool) {
	if len(g.forwards.byID) == 0 {
		return
	}
	all := make([]*work, 0, len(g.forwards.byID))
	for _, w := range g.forwards.byID {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *work) int { return cmp.Compare(a.attempt.id, b.attempt.id) })
	for _, w := range all {
		if end(w) && w.attempt.id != 0 {
			g.settled(w)
		}
	}
}

// lateForward reports whether the owner has left one without an answer for too long. One
// of an earlier contact that nothing became of is given up.
func (g *Group) lateForward(now time.Time) (late bool) {
	g.endForwards(func(w *work) bool {
		switch waited := now.Sub(w.attempt.sent); {
		case w.attempt.talk == g.talk:
			late = late || waited > callWithin
		case waited > 2*callWithin:
			w.finish(array.Errorf(array.Unknown, "%s: the owner was lost", g.what()))
			return true
		}
		return false
	})
	return late
}

// askMissing asks the owner for a record from the first that is not here on.
func (g *Group) askMissing() {
	g.sends = append(g.sends, Packet{
		Type: PacketHeld, Epoch: g.view.Epoch, Held: g.core.Durable(), Length: int64(g.core.End().Place), Offset: heldAgain,
	})
}

// receivePlaced takes the owner's word that a forwarded write has its place.
func (g *Group) receivePlaced(p Packet) {
	if !g.takePlaced(&p) {
		if g.failed == nil && p.Epoch == g.view.Epoch && g.core.Met() && p.Pos.Place == g.core.End().Place+1 {
			g.askMissing()
		}
		return
	}
	g.receiveRecord(p)
}

// attach joins a record from the owner with the command of this array that it carries
// out.
func (g *Group) attach(e *entry) {
	w := g.attemptOf(e.rec.Tag)
	if w == nil {
		return
	}
	if e.rec.Kind == journal.Entry { // before the data of a COMPARE AND WRITE
		g.asks(w, e.pos.Place+1)
		return
	}
	g.answered(w)
	e.work = w
}
