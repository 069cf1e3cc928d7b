// SPDX-License-Identifier: Apache-2.0

package group

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// A host that gets no answer to a COMPARE AND WRITE sends it again, on whichever
// path works. If the first took effect, the second finds the new data and would
// miscompare: a lock that the host holds without knowing. So the log says, just
// before the data of a COMPARE AND WRITE, whose it is. Both arrays keep that until
// the host has acknowledged the answer, another write touches the range, or no host
// would still wait. A repeat by the same initiator gets GOOD, once, and only if the
// answer to the first can't be delivered any more: its session has ended, or the
// array that had it is not a member any more.

const (
	// maxRepeats bounds what is kept of one unit; the oldest goes first.
	maxRepeats = 256
	// repeatFor is longer than a host waits before it gives a command up for good.
	repeatFor = 2 * time.Minute
)

// repeat is what is kept of one COMPARE AND WRITE.
type repeat struct {
	Nexus  reservation.Nexus `json:"nexus"`
	Digest [16]byte          `json:"digest"`
	Offset int64             `json:"offset"`
	Length int64             `json:"length"`
	// Via is the array that had the command, if that is not the owner.
	Via *array.Side `json:"via,omitempty"`

	pos   array.Position // of its data
	owner array.Side     // the array that had the command
	since time.Time
	op    uint64 // there
	// lost: the answer can't be delivered any more.
	lost bool
}

// initiator is the node name in an initiator port's name: a repeat may come from
// another port of the same host.
func initiator(n reservation.Nexus) string {
	name, _, _ := strings.Cut(n.Initiator, ",")
	return name
}

func digestOf(m scsi.Mutation) [16]byte {
	h := sha256.New()
	h.Write(m.Compare.Bytes())
	h.Write(m.Data.Bytes())
	var sum [32]byte
	h.Sum(sum[:0])
	return [16]byte(sum[:16])
}

// noteOfRepeat is the entry that goes before the data of w.
func (w *work) noteOfRepeat() note {
	r := &repeat{Nexus: w.op.Nexus, Digest: digestOf(w.m), Offset: w.m.Offset, Length: w.m.Length}
	if w.foreign != 0 {
		via := w.unit.g.cfg.Self.Other()
		r.Via = &via
	}
	return note{Type: noteRepeat, Volume: w.unit.id.Volume, Repeat: r}
}

// repeats is what is kept of one unit, oldest first. It belongs to the loop.
type repeats struct {
	list []repeat
	// asking has this array's commands whose entry is placed and not applied, by the
	// place of their data: as many as are placed and not applied, which window bounds.
	asking map[array.Place]asking
}

// asking is a command that waits for its data to be committed.
type asking struct {
	op    uint64
	nexus reservation.Nexus
	lost  bool
}

func (g *Group) repeatsOf(v array.VolumeID) *repeats {
	t := g.repeats[v]
	if t == nil {
		t = &repeats{asking: map[array.Place]asking{}}
		g.repeats[v] = t
	}
	return t
}

// keep takes an entry of the log at pos; its data follow at the next place. self is this
// array, owner who ordered it.
func (t *repeats) keep(r repeat, pos array.Position, owner, self array.Side, now time.Time) {
	if r.Via != nil && *r.Via <= 1 {
		owner = *r.Via
	}
	mine := owner == self
	r.pos, r.owner, r.since = pos, owner, now
	r.pos.Place++
	t.filter(func(x *repeat) bool { return x.pos.Place != r.pos.Place }) // read again after a restart
	a, asks := t.asking[r.pos.Place]
	r.op, r.lost = a.op, a.lost || mine && !asks // its session was of an earlier life
	delete(t.asking, r.pos.Place)
	if len(t.list) >= maxRepeats {
		t.list = append(t.list[:0], t.list[1:]...)
	}
	t.list = append(t.list, r)
}

// keepRepeat keeps an entry of the log, and tells the other array if its command's answer
// can't be delivered here any more: it may be asked for there.
func (g *Group) keepRepeat(n note, r journal.Record) {
	t := g.repeatsOf(n.Volume)
	t.keep(*n.Repeat, r.Pos, g.ownerAt(r.Pos), g.cfg.Self, g.cfg.Now())
	if x := t.list[len(t.list)-1]; x.lost && x.owner == g.cfg.Self && g.units[n.Volume] != nil {
		g.tellRepeat(g.units[n.Volume], x.pos.Place, repeatLost)
	}
}

// touched drops what a record overwrites, and what is not followed by its data.
func (t *repeats) touched(r journal.Record) {
	if t == nil || len(t.list) == 0 {
		return
	}
	t.filter(func(x *repeat) bool {
		if x.pos.Place == r.Pos.Place {
			return x.pos == r.Pos
		}
		return !overlap(x.Offset, x.Length, r.Offset, r.Length)
	})
}

// cut drops what lies beyond place after.
func (t *repeats) cut(after array.Place) {
	t.filter(func(x *repeat) bool { return x.pos.Place <= after })
	clear(t.asking)
}

// filter keeps those for which keep is true.
func (t *repeats) filter(keep func(*repeat) bool) {
	kept := t.list[:0]
	for i := range t.list {
		if keep(&t.list[i]) {
			kept = append(kept, t.list[i])
		}
	}
	clear(t.list[len(kept):])
	t.list = kept
}

// isRepeat reports whether w, which miscompares, is one that took effect and could
// not be answered. It is true once.
func (g *Group) isRepeat(w *work) bool {
	t := g.repeatsOf(w.unit.id.Volume)
	var digest [16]byte
	for i := range t.list {
		r := &t.list[i]
		if r.Offset != w.m.Offset || r.Length != w.m.Length || initiator(r.Nexus) != initiator(w.op.Nexus) {
			continue
		}
		gone := r.lost || r.owner != g.cfg.Self && !g.view.Members.Has(r.owner)
		if !gone || g.cfg.Now().Sub(r.since) > repeatFor {
			continue
		}
		if digest == [16]byte{} {
			digest = digestOf(w.m)
		}
		if r.Digest != digest {
			continue
		}
		g.tellRepeat(w.unit, r.pos.Place, repeatOver)
		t.list = append(t.list[:i], t.list[i+1:]...)
		return true
	}
	return false
}

// What Offset of a PacketRepeat says.
const (
	repeatOver = 1 // the host has its answer
	repeatLost = 2 // it can't be delivered any more
)

func (g *Group) tellRepeat(u *Unit, place array.Place, what int64) {
	if g.contact {
		g.sends = append(g.sends, Packet{
			Type: PacketRepeat, Epoch: g.view.Epoch, Pos: array.Position{Place: place}, Volume: u.id.Volume, Offset: what,
		})
	}
}

// tellLostRepeats says again, in a new contact, what the other array may have missed.
func (g *Group) tellLostRepeats() {
	for v, t := range g.repeats {
		for i := range t.list {
			if u := g.units[v]; u != nil && t.list[i].lost && t.list[i].owner == g.cfg.Self {
				g.tellRepeat(u, t.list[i].pos.Place, repeatLost)
			}
		}
	}
}

// loseRepeats: the sessions of the other array's last process are gone.
func (g *Group) loseRepeats() {
	for _, t := range g.repeats {
		for i := range t.list {
			t.list[i].lost = t.list[i].lost || t.list[i].owner != g.cfg.Self
		}
	}
}

// repeatNews takes the other array's word on a COMPARE AND WRITE that it had.
func (g *Group) repeatNews(p Packet) {
	t := g.repeats[p.Volume]
	if t == nil {
		return
	}
	t.filter(func(r *repeat) bool {
		if r.pos.Place != p.Pos.Place || r.owner == g.cfg.Self {
			return true
		}
		r.lost = true
		return p.Offset != repeatOver
	})
}

// oldestRepeat returns the place of the oldest entry that a restart would still
// need, and drops those that no host waits for.
func (g *Group) oldestRepeat(now time.Time) (array.Place, bool) {
	var oldest array.Place
	for _, t := range g.repeats {
		t.filter(func(r *repeat) bool { return now.Sub(r.since) <= repeatFor })
		if len(t.list) > 0 && (oldest == 0 || t.list[0].pos.Place < oldest) {
			oldest = t.list[0].pos.Place
		}
	}
	return oldest, oldest != 0
}

// Acknowledged: the host has the status of a COMPARE AND WRITE.
func (u *Unit) Acknowledged(_ reservation.Nexus, opID uint64) {
	u.g.post(func() {
		u.g.repeatsOf(u.id.Volume).filter(func(r *repeat) bool {
			if r.owner != u.g.cfg.Self || r.op != opID {
				return true
			}
			u.g.tellRepeat(u, r.pos.Place, repeatOver)
			return false
		})
	})
}

// Ended: a session has ended; what it was not answered it never will be.
func (u *Unit) Ended(n reservation.Nexus) {
	u.g.post(func() {
		t := u.g.repeatsOf(u.id.Volume)
		for i := range t.list {
			if r := &t.list[i]; r.owner == u.g.cfg.Self && r.Nexus == n && !r.lost {
				r.lost = true
				u.g.tellRepeat(u, r.pos.Place, repeatLost)
			}
		}
		for at, a := range t.asking {
			if a.nexus == n {
				a.lost = true
				t.asking[at] = a
			}
		}
	})
}

var _ scsi.Acknowledger = (*Unit)(nil)

// placeRepeat gives the entry before w's data its place. Its room is reserved.
func (g *Group) placeRepeat(w *work, body []byte) error {
	pos, err := g.core.Place()
	if err != nil {
		return err
	}
	if w.foreign == 0 {
		g.asks(w, pos.Place+1)
	}
	rec := journal.Record{Group: g.cfg.ID, Pos: pos, Kind: journal.Entry, Volume: w.unit.id.Volume, Payload: body}
	binary.BigEndian.PutUint64(rec.Tag[:8], w.foreign)
	g.add(&entry{pos: pos, rec: rec}, g.cfg.Self)
	return nil
}

// asks notes that the data at a place are those of a command of this array.
func (g *Group) asks(w *work, at array.Place) {
	g.repeatsOf(w.unit.id.Volume).asking[at] = asking{op: w.op.ID, nexus: w.op.Nexus}
}
