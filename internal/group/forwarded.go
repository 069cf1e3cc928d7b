// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/scsi"
)

// serveForward takes a write that a host gave to the other array: it waits for its place
// as one of this array's hosts does. The age of its command is what the other array says
// and all that went by since the reading of this array's clock that it names.
func (g *Group) serveForward(p Packet) {
	id := [8]byte(p.Tag[:8])
	talk := g.talk
	w := &work{called: true, foreign: binary.BigEndian.Uint64(id[:])}
	w.done = func(err error) {
		for _, b := range []*block.Buffer{w.m.Data, w.m.Compare} {
			if b != nil {
				b.Release()
			}
		}
		placed := w.placed
		g.post(func() {
			if g.talk == talk && (err != nil || !placed) {
				g.sends = append(g.sends, g.refusalPacket(id, err))
			}
		})
	}
	if err := g.readForward(p, w); err != nil {
		w.done(err)
		return
	}
	g.waiting = append(g.waiting, w)
}

func (g *Group) refusalPacket(id [8]byte, err error) Packet {
	p := Packet{Type: PacketRefused, Epoch: g.view.Epoch}
	copy(p.Tag[:8], id[:])
	if err != nil {
		p.Length, p.Body = int64(array.KindOf(err)), []byte(err.Error())
		var e *array.Error
		if errors.As(err, &e) && e.Kind == array.Miscompare {
			p.Offset = e.Offset
		}
	}
	return p
}

// readForward makes w what the packet says. w owns its buffers from then on.
func (g *Group) readForward(p Packet, w *work) error {
	now := g.cfg.Now()
	passed := time.Duration(g.cfg.Peer.Clock() - int64(p.Pos.Place))
	age := time.Duration(p.Commit)
	switch u := g.units[p.Volume]; {
	case p.Epoch != g.view.Epoch:
		return array.Errorf(array.Moved, "%s is changing hands", g.what())
	case g.core.Owner() != g.cfg.Self || g.switching != nil || g.view.Members != array.Both:
		return array.Errorf(array.Moved, "this array does not own %s", g.what())
	case w.foreign == 0 || passed < 0 || passed > scsi.Late || age < 0 || age > scsi.Late || passed+age > scsi.Late:
		return array.Errorf(array.Busy, "the command was late on its way to the owner")
	case u == nil:
		return array.Errorf(array.Busy, "volume %v is not in %s here", p.Volume, g.what())
	case u.id.ReadOnly:
		return array.Errorf(array.Denied, "snapshot %s can't be written to", u.id.Name)
	case p.Offset > u.Size()-p.Length && g.applied < g.core.End().Place:
		return array.Errorf(array.Moved, "volume %s may be growing", u.id.Name) // it is asked again
	case p.Length <= 0 || p.Length%block.Sector != 0 || p.Offset%block.Sector != 0 || p.Offset > u.Size()-p.Length:
		return array.Errorf(array.Range, "change of %d bytes at %d is beyond the end of volume %s, %d bytes", p.Length, p.Offset, u.id.Name, u.Size())
	case len(g.waiting) >= maxWaiting:
		return array.Errorf(array.Busy, "too many commands wait for %s", g.what())
	default:
		w.unit = u
	}
	w.op = &scsi.Op{Arrived: now.Add(-passed - age), Generation: uint64(p.Pos.Term)}
	w.m = scsi.Mutation{Kind: scsi.MutationKind(p.Kind), Offset: p.Offset, Length: p.Length}
	switch w.m.Kind {
	case scsi.Zero, scsi.Unmap:
		return nil
	case scsi.Write, scsi.Or:
		if p.Buf == nil || int64(p.Buf.Len()) != p.Length {
			return array.Errorf(array.Invalid, "a write of %d bytes came without them", p.Length)
		}
		p.Buf.Retain()
		w.m.Data = p.Buf
		return nil
	case scsi.CompareAndWrite:
		return g.readCompare(p, w)
	}
	return array.Errorf(array.Invalid, "a forwarded change is of unknown kind %d", p.Kind)
}

func (g *Group) readCompare(p Packet, w *work) error {
	who, compare, data, ok := decodeCompare(p.Body, p.Length)
	if !ok {
		return array.Errorf(array.Invalid, "a forwarded COMPARE AND WRITE can't be read")
	}
	w.op.Nexus = who
	for _, half := range []struct {
		to   **block.Buffer
		from []byte
	}{{&w.m.Compare, compare}, {&w.m.Data, data}} {
		b, ok := g.cfg.Buffers.Get(len(half.from))
		if !ok {
			return array.Errorf(array.Busy, "no memory for a forwarded command")
		}
		copy(b.Bytes(), half.from)
		*half.to = b
	}
	return nil
}

// moveCalled sends back what the other array asked for and has no place: it orders now.
func (g *Group) moveCalled() {
	g.endCalled(array.Errorf(array.Moved, "%s went to the other array", g.what()))
}

// endCalled ends what the other array asked for and has no place yet. What is being read
// for ends when its read returns.
func (g *Group) endCalled(err error) {
	var ended []*work
	keep := g.waiting[:0]
	for _, w := range g.waiting {
		switch {
		case !w.called:
			keep = append(keep, w)
		case w.running:
			w.killed = err
			keep = append(keep, w)
		default:
			ended = append(ended, w)
		}
	}
	clear(g.waiting[len(keep):])
	g.waiting = keep
	for _, w := range ended {
		w.finish(err)
	}
}

// placedPacket tells the other array that its write has a place. It has the data.
func (g *Group) placedPacket(e *entry) Packet {
	p := g.recordPacket(e.rec, g.cfg.Self, nil)
	p.Type, p.Body = PacketPlaced, nil
	return p
}
