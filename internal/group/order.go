// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

const (
	// window bounds the bytes placed and not yet applied.
	window = 32 << 20
	// maxWaiting bounds the commands that wait for a place; beyond it BUSY.
	maxWaiting = 4096
)

// work is a host's command that changes something, from its arrival to its answer.
type work struct {
	unit    *Unit
	op      *scsi.Op
	m       scsi.Mutation
	request *reservation.Request
	inspect func(scsi.Facts, error)
	done    func(error)
	// result of a read-modify-write: the data to place.
	buf *block.Buffer
	// running: holds its range while its old data are read.
	running bool
	gate    *gate
	// called: the other array asked for it; its host may have been answered BUSY there
	// when the contact is lost. killed is its end that came while it was running.
	called bool
	killed error
	// attempt is the newest one to have it ordered by the other array. foreign is the
	// number of the other array's attempt that this work is.
	attempt attempt
	foreign uint64
	placed  bool
	// outdated: the owner knows of newer reservations than those of the op's Generation.
	outdated bool
	// ended are told when it has been answered.
	ended []func()
}

func (w *work) finish(err error) {
	w.unit.g.unbusy(w)
	if w.buf != nil {
		w.buf.Release()
		w.buf = nil
	}
	if w.inspect != nil {
		w.unit.answerInspect(w, err)
	} else {
		w.done(err)
	}
	for _, f := range w.ended {
		f()
	}
	w.ended = nil
}

// admit lets a command wait for its place.
func (g *Group) admit(w *work) {
	if len(g.waiting) >= maxWaiting {
		w.finish(array.Errorf(array.Busy, "too many commands wait for %s", g.what()))
		return
	}
	g.waiting = append(g.waiting, w)
}

// open places an owner entry if this side should open a term.
func (g *Group) open() {
	if !g.core.MustOpen() || !g.cfg.Space.Reserve(noteCost(note{Type: noteOwner})) {
		return
	}
	g.placeOwner(g.cfg.Self)
	g.saveSegments()
}

func (g *Group) placeOwner(to array.Side) {
	pos, err := g.core.PlaceOwner(to)
	if err != nil {
		g.cfg.Space.Unreserve(noteCost(note{Type: noteOwner}))
		return
	}
	g.termBegan()
	if to != g.cfg.Self {
		g.moveCalled()
	}
	g.add(&entry{
		pos: pos,
		rec: journal.Record{Group: g.cfg.ID, Pos: pos, Kind: journal.Entry, Payload: encodeNote(note{Type: noteOwner, Owner: to})},
	}, to)
}

// add hands a record that has its position to the journal, and then to the other array.
func (g *Group) add(e *entry, owner array.Side) {
	g.lay(e)
	g.departs(e.rec)
	g.lengthen(e)
	g.tailBytes += int64(len(e.rec.Payload))
	g.appends = append(g.appends, e.rec)
	if g.cursor == e.pos.Place && g.contact && !g.crowded() {
		if e.work != nil && e.work.foreign != 0 && e.work.m.Kind != scsi.Or {
			g.sends = append(g.sends, g.placedPacket(e))
		} else {
			g.sendRecord(e.rec, owner, e.buf)
		}
		g.cursor++
	}
}

// lay says how the journal is to keep a record, and the entry then.
func (g *Group) lay(e *entry) {
	e.rec.Reserved = true
	if u := g.units[e.rec.Volume]; u != nil && e.rec.Kind == journal.Data {
		e.rec.Outside = u.disk.Outside(&e.rec)
	}
}

// place gives waiting commands their places, in the order they came.
func (g *Group) place() {
	if len(g.waiting) == 0 {
		return
	}
	now := g.cfg.Now()
	g.forwards.full = false
	keep := g.waiting[:0]
	for _, w := range g.waiting {
		if !g.placeOne(w, now) {
			keep = append(keep, w)
		}
	}
	clear(g.waiting[len(keep):])
	g.waiting = keep
}

// placeOne reports whether w needs to wait no longer.
func (g *Group) placeOne(w *work, now time.Time) bool {
	switch st := g.state(); {
	case w.running:
		return false
	case w.op.Cancelled():
		w.finish(array.Errorf(array.Aborted, "the command was aborted"))
		return true
	case now.Sub(w.op.Arrived) > scsi.Late:
		w.finish(g.lateError(now))
		return true
	case g.units[w.unit.id.Volume] != w.unit && w.buf == nil:
		w.finish(array.Errorf(array.Busy, "volume %s is in group %s no more", w.unit.id.Name, g.cfg.Name))
		return true
	case g.holds(w) || g.unheard(w.unit):
		return false
	case g.retiring != nil && w.buf == nil: // what has read its old data holds its range
		return false
	case st == gateShare && w.called:
		w.finish(array.Errorf(array.Moved, "this array does not own %s", g.what()))
		return true
	case (st == gateStandby || st == gateShare) && w.forwardable() && g.contact && g.view.Role == arb.Paired:
		g.forward(w)
		return true
	case st == gateShare:
		return g.placeThere(w)
	case st == gateStandby || st == gateLost:
		w.finish(g.refusal(st))
		return true
	case st != gateServe:
		return false
	}
	if w.called && g.applied < g.core.Commit() && g.canApply() {
		return false // the other array may have applied more than this one, and have checked by that
	}
	if w.op.Generation != w.unit.generation() && w.request == nil && w.inspect == nil {
		w.finish(array.Errorf(array.Conflict, "the reservations changed"))
		return true
	}
	if w.inspect != nil {
		if w.unit.reserving || g.installing(w.unit) {
			return false // what the other array may show already is not applied here yet
		}
		w.finish(nil)
		return true
	}
	return g.placeMutation(w)
}

// placeThere has the owner give a write of a shared group its place.
func (g *Group) placeThere(w *work) bool {
	if w.op.Generation != w.unit.generation() {
		w.finish(array.Errorf(array.Conflict, "the reservations changed"))
		return true
	}
	return !w.outdated && g.forwardMutation(w)
}

func (g *Group) placeMutation(w *work) bool {
	if w.request != nil {
		return g.placeReservation(w)
	}
	if w.unit.reserving {
		// Behind a change of the reservations its rights are checked anew, once that is
		// installed: a write of a host that was fenced off must not follow it.
		return false
	}
	if g.overlapsRunning(w) || g.tailBytes > window {
		return false
	}
	g.stale(w)
	if ends, room := g.spacious(w); !room {
		return ends
	}
	if (w.m.Kind == scsi.CompareAndWrite || w.m.Kind == scsi.Or) && w.buf == nil {
		return g.startModify(w)
	}
	need := journal.Cost(int(w.m.Length))
	if w.m.Kind == scsi.Zero || w.m.Kind == scsi.Unmap {
		need = journal.Cost(0)
	}
	var before []byte // the entry before the data
	if w.m.Kind == scsi.CompareAndWrite {
		before = encodeNote(w.noteOfRepeat())
		need += journal.Cost(len(before))
	}
	if !g.cfg.Pages.Room(int(need)) || !g.cfg.Space.Reserve(need) {
		g.noRoom()
		return false
	}
	g.hasRoom()
	if before != nil {
		if err := g.placeRepeat(w, before); err != nil {
			g.cfg.Space.Unreserve(need)
			return false
		}
		need -= journal.Cost(len(before))
	}
	pos, err := g.core.Place()
	if err != nil {
		g.cfg.Space.Unreserve(need)
		return false
	}
	rec := journal.Record{Group: g.cfg.ID, Pos: pos, Volume: w.unit.id.Volume, Offset: w.m.Offset, Length: w.m.Length, Kind: journal.Zeros}
	binary.BigEndian.PutUint64(rec.Tag[:8], w.foreign)
	if w.foreign == 0 {
		g.balance.own++
	} else {
		g.balance.foreign++
		g.foreignEnd = pos.Place
	}
	w.placed = true
	e := g.newEntry()
	e.pos, e.work = pos, w
	if w.m.Kind != scsi.Zero && w.m.Kind != scsi.Unmap {
		b := w.m.Data
		if w.buf != nil {
			b = w.buf
		}
		b.Retain()
		rec.Kind, rec.Payload, rec.Buf, e.buf = journal.Data, b.Bytes(), b, b
	}
	e.rec = rec
	g.unbusy(w)
	g.add(e, g.cfg.Self)
	return true
}

// spaceWithin is how long a write may wait to know whether there is room for it on pages.
const spaceWithin = time.Second

// spacious reports whether there are pages for what w writes; if not, whether that was
// its end.
func (g *Group) spacious(w *work) (ended, room bool) {
	if w.m.Kind == scsi.Zero || w.m.Kind == scsi.Unmap {
		return false, true
	}
	answer, err := w.unit.disk.Spacious(w.m.Offset, w.m.Length)
	switch {
	case err != nil:
		w.finish(err)
		return true, false
	case answer == volume.Enough:
		return false, true
	case answer == volume.Unsure && g.cfg.Now().Sub(w.op.Arrived) < spaceWithin:
		return false, false
	}
	w.finish(array.Errorf(array.Full, "volume %s: its CPG is full, or a limit of one of both is reached", w.unit.id.Name))
	return true, false
}

func (g *Group) canApply() bool {
	return g.failed == nil && g.dropping == 0 && !g.shadowed && g.cfg.Pages.Room(block.MaxIO)
}

// apply makes what is committed visible and answers its commands, in order.
func (g *Group) apply() {
	commit := g.core.Commit()
	g.stuckUnheard = false
	for g.applied < commit && g.canApply() {
		if len(g.tail) == 0 || g.tail[0].pos.Place > g.applied+1 {
			if !g.applyFromLog(commit) {
				return
			}
			continue
		}
		e := g.tail[0]
		if g.stuckUnheard = g.unheardOf(e.rec); g.stuckUnheard {
			return
		}
		g.tail[0] = nil
		g.tail = g.tail[1:]
		g.tailBytes -= int64(len(e.rec.Payload))
		if e.pos.Place > g.applied {
			if err := g.applyRecord(e.rec); err != nil {
				g.fail(fmt.Errorf("apply record %v: %w", e.pos, err))
				return
			}
			g.applied = e.pos.Place
		}
		g.lands(e.rec)
		if e.work != nil {
			g.answer(e)
			e.work = nil
		}
		if e.then != nil {
			e.then()
			e.then = nil
		}
		if !g.remember(e) {
			g.forget(e)
		}
	}
}

// lengthen adds an entry to the tail.
func (g *Group) lengthen(e *entry) {
	if len(g.tail) == 0 && cap(g.tailHome) <= maxSpare {
		g.tail = g.tailHome
	}
	moves := len(g.tail) == cap(g.tail)
	if g.tail = append(g.tail, e); moves {
		g.tailHome = g.tail[:0]
	}
}

// newEntry returns an empty entry. Most serve again and again.
func (g *Group) newEntry() *entry {
	n := len(g.spares)
	if n == 0 {
		return new(entry)
	}
	e := g.spares[n-1]
	g.spares[n-1] = nil
	g.spares = g.spares[:n-1]
	return e
}

// forget lets go of an entry that nothing refers to any more.
func (g *Group) forget(e *entry) {
	if e.buf != nil {
		e.buf.Release()
	}
	*e = entry{}
	if len(g.spares) < maxSpare {
		g.spares = append(g.spares, e)
	}
}

// unheardOf reports whether a record is of a volume that is not here yet: it was
// admitted while this array was away, and its description is on the way.
func (g *Group) unheardOf(r journal.Record) bool {
	return r.Volume != 0 && g.units[r.Volume] == nil && !g.gone[r.Volume]
}

// applyRecord applies one committed record: data to its volume, entries to the group.
func (g *Group) applyRecord(r journal.Record) error {
	if r.Kind == journal.Entry {
		return g.applyNote(r)
	}
	u := g.units[r.Volume]
	if u == nil { // gone
		g.cfg.Pages.Advance(r.Group, r.Pos.Place)
		return nil
	}
	g.repeats[r.Volume].touched(r)
	if err := u.disk.Apply(r); err != nil {
		return err
	}
	g.cfg.Pages.Advance(r.Group, r.Pos.Place) // in every CPG of the group, not the volume's alone
	return nil
}

// applyFromLog applies committed records that are no longer, or not yet, in memory.
func (g *Group) applyFromLog(upTo array.Place) bool {
	if len(g.tail) > 0 {
		upTo = min(upTo, g.tail[0].pos.Place-1)
	}
	from := g.applied
	err := g.cfg.Log.Read(g.cfg.ID, g.applied+1, func(r journal.Record) error {
		if r.Pos.Place > upTo || !g.canApply() {
			return errStop
		}
		if g.stuckUnheard = g.unheardOf(r); g.stuckUnheard {
			return errStop
		}
		if r.Kind == journal.Data {
			b, ok := g.cfg.Buffers.Get(len(r.Payload))
			if !ok {
				return errStop
			}
			copy(b.Bytes(), r.Payload)
			r.Payload, r.Buf = b.Bytes(), b
			defer b.Release()
		}
		if err := g.applyRecord(r); err != nil {
			return err
		}
		g.applied = r.Pos.Place
		return nil
	})
	if err != nil && err != errStop {
		g.fail(fmt.Errorf("apply from the journal after place %d: %w", from, err))
		return false
	}
	return g.applied > from
}

var errStop = fmt.Errorf("enough")

// release lets the journal recycle what is on pages. While the journal has room
// enough, what the other array lacks stays, so that it is filled in order rather
// than by pages.
func (g *Group) release() {
	up := g.cfg.Pages.Destaged(g.cfg.ID)
	total, room := g.cfg.Space.Usage()
	roomy := room > total/8 && !g.cfg.Pages.Crowded()
	switch {
	case g.cfg.Peer == nil:
	case g.view.Members == array.Both, roomy && g.copying == nil:
		up = min(up, g.core.Peer()) // a member takes no copy: it must be filled from here
	case roomy:
		up = min(up, g.copying.base)
	}
	if oldest, ok := g.oldestRepeat(g.cfg.Now()); ok && roomy {
		up = min(up, max(oldest, 2)-2) // not the entry before the data
	}
	if up > g.released {
		g.released = up
		g.cfg.Log.Release(g.cfg.ID, up)
	}
}

// JournalHolds is the journal's word that all of the group up to place is durable.
func (g *Group) JournalHolds(place array.Place) {
	g.deliver(posted{holds: place})
}

// expire ends commands that grew too old while nothing else happened.
func (g *Group) expire(time.Time) { g.place() }

func (g *Group) refuseAll(err error) {
	for _, w := range g.waiting {
		if !w.running {
			w.finish(err)
		}
	}
	g.waiting = nil
}
