// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"encoding/binary"
	"errors"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/link"
)

// handler takes the link's events.
type handler struct{ p *Pair }

// Up: the groups hear of it only where the other array answers for itself too. Members of a
// group that talk while neither has the other's lease would find each other silent at once.
func (h handler) Up(c *link.Conn) {
	p := h.p
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	restarted := p.system.Start != c.Peer.Start && p.system.Start != (array.StartID{})
	p.system = c.Peer
	if c.Control() {
		p.up++
	}
	answers := p.answers()
	p.mu.Unlock()
	if restarted {
		p.each(Group.PeerRestarted)
	}
	if answers {
		p.each(Group.Contact)
	}
	if c.Control() {
		select {
		case p.early <- struct{}{}:
		default: // it is about to ask
		}
	}
}

// Down: what was sent on the connection may be lost, so the groups compare again.
func (h handler) Down(c *link.Conn, err error) {
	p := h.p
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	if c.Control() {
		p.up--
	}
	answers := p.answers()
	lost := p.up == 0
	p.mu.Unlock()
	if lost {
		p.calls.Lost()
	}
	p.cfg.Logger.Info("connection ended", "conn", c.String(), "err", err)
	if answers {
		p.each(Group.Contact)
		return
	}
	p.each(Group.Lost)
}

func (h handler) Frame(c *link.Conn, f link.Frame) {
	p := h.p
	if p.calls.Frame(f) {
		return
	}
	switch {
	case f.Type == frameAsk:
		p.asked(c, f)
	case f.Type == frameGrant:
		p.beats.measured(c.Link, p.clock.Now()-f.Offset)
		p.granted(f)
	case f.Type == frameProbe:
		answerProbe(c, f)
	case f.Type == frameHeard:
		p.probes.heard(f)
	case f.Type > frameGroup:
		if g := p.group(f.Group); g != nil {
			g.Receive(packetOf(f))
		}
	}
}

// flagBare marks data without the epoch and the durable place before them. A record has
// them in the position and the tag, a forwarded write has the epoch in the position.
const flagBare = 2

// packetOf turns a frame into a packet. The payload of records stays in its buffer.
func packetOf(f link.Frame) group.Packet {
	pk := group.Packet{
		Type: group.PacketType(f.Type - frameGroup), Group: f.Group, Pos: f.Position, Commit: f.Commit,
		Volume: f.Volume, Offset: f.Offset, Length: f.Length, Tag: f.Tag,
		Owner: array.Side(f.Flags & 1), Kind: journal.Kind(f.Flags >> 8),
	}
	// The sender's epoch and what its journal holds stand before the payload of
	// everything but data records, which have them in the position and the tag.
	body := f.Payload
	if f.Flags&flagBare != 0 {
		if f.Buf == nil || pk.Type != group.PacketRecord && pk.Type != group.PacketForward {
			return group.Packet{}
		}
		pk.Epoch, pk.Buf = f.Position.Epoch, f.Buf
		if pk.Type == group.PacketRecord {
			pk.Held = array.Place(binary.BigEndian.Uint64(f.Tag[:8]))
			clear(pk.Tag[:8])
		}
		return pk
	}
	if len(body) < 16 {
		return group.Packet{}
	}
	pk.Epoch, pk.Held = array.Epoch(binary.BigEndian.Uint64(body)), array.Place(binary.BigEndian.Uint64(body[8:]))
	pk.Body = append([]byte(nil), body[16:]...)
	return pk
}

// bare reports whether a packet's data can go alone. A record with a tag of its own can't.
func bare(pk *group.Packet) bool {
	if pk.Buf == nil || pk.Epoch != pk.Pos.Epoch {
		return false
	}
	return pk.Type == group.PacketForward ||
		pk.Type == group.PacketRecord && pk.Kind == journal.Data && [8]byte(pk.Tag[:8]) == [8]byte{}
}

// frameOf is the way back. A data record of an older epoch than the sender's view
// goes as a body, so that the view is named.
func frameOf(pk group.Packet) link.Frame {
	f := link.Frame{
		Type: frameGroup + link.Type(pk.Type), Group: pk.Group, Position: pk.Pos, Commit: pk.Commit, Volume: pk.Volume,
		Offset: pk.Offset, Length: pk.Length, Tag: pk.Tag, Flags: uint16(pk.Owner)&1 | uint16(pk.Kind)<<8,
	}
	if bare(&pk) {
		f.Flags |= flagBare
		f.Buf, f.Payload = pk.Buf, pk.Buf.Bytes()
		if pk.Type == group.PacketRecord {
			binary.BigEndian.PutUint64(f.Tag[:8], uint64(pk.Held))
		}
		return f
	}
	body := pk.Body
	if pk.Buf != nil {
		body = pk.Buf.Bytes()
	}
	b := make([]byte, 16, 16+len(body))
	putUint64(b, uint64(pk.Epoch))
	putUint64(b[8:], uint64(pk.Held))
	f.Payload = append(b, body...)
	return f
}

// way is a group's Peer.
type way struct {
	*Pair
	id array.GroupID
}

// Way returns the way of group id to the other array.
func (p *Pair) Way(id array.GroupID) group.Peer { return way{p, id} }

func (w way) Send(pk group.Packet) error {
	err := w.peer.Send(frameOf(pk), link.Data(uint64(w.id)))
	if errors.Is(err, link.ErrFull) {
		return &array.Error{Kind: array.Busy, Err: err}
	}
	return err
}

func (w way) Clock() int64   { return w.clock.Now() }
func (w way) Lease() uint64  { return w.lease.Held(w.clock.Now()) }
func (w way) Period() uint64 { return w.lease.Period() }
func (w way) Ended() uint64  { return w.lease.Ended(w.clock.Now()) }
func (w way) Break()         { w.lease.BreakOff(w.clock.Now()) }
