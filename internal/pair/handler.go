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

func (h handler) Up(c *link.Conn) {
	p := h.p
	p.mu.Lock()
	restarted := p.system.Start != c.Peer.Start && p.system.Start != (array.StartID{})
	p.system = c.Peer
	if c.Control() {
		p.up++
	}
	p.mu.Unlock()
	if restarted {
		p.each(Group.PeerRestarted)
	}
	p.each(Group.Contact)
}

// Down: what was sent on the connection may be lost, so the groups compare again.
func (h handler) Down(c *link.Conn, err error) {
	p := h.p
	p.mu.Lock()
	if c.Control() {
		p.up--
	}
	up := p.up > 0
	if !up {
		for id, ch := range p.calls {
			delete(p.calls, id)
			close(ch) // nobody will answer
		}
	}
	p.mu.Unlock()
	p.cfg.Logger.Info("connection ended", "conn", c.String(), "err", err)
	if up {
		p.each(Group.Contact)
		return
	}
	p.each(Group.Lost)
}

func (h handler) Frame(c *link.Conn, f link.Frame) {
	p := h.p
	switch {
	case f.Type == frameAsk:
		p.asked(c, f)
	case f.Type == frameGrant:
		p.granted(f)
	case f.Type == frameCall:
		p.serveCall(f)
	case f.Type == frameReply:
		p.takeReply(f)
	case f.Type > frameGroup:
		if g := p.group(f.Group); g != nil {
			g.Receive(packetOf(f))
		}
	}
}

// flagBare marks a record's data without the epoch and the durable place before
// them: they are in the position and the tag.
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
		if f.Buf == nil || pk.Type != group.PacketRecord {
			return group.Packet{}
		}
		pk.Epoch, pk.Held = f.Position.Epoch, array.Place(binary.BigEndian.Uint64(f.Tag[:8]))
		pk.Buf = f.Buf
		return pk
	}
	if len(body) < 16 {
		return group.Packet{}
	}
	pk.Epoch, pk.Held = array.Epoch(binary.BigEndian.Uint64(body)), array.Place(binary.BigEndian.Uint64(body[8:]))
	pk.Body = append([]byte(nil), body[16:]...)
	return pk
}

// frameOf is the way back. A data record of an older epoch than the sender's view
// goes as a body, so that the view is named.
func frameOf(pk group.Packet) link.Frame {
	f := link.Frame{
		Type: frameGroup + link.Type(pk.Type), Group: pk.Group, Position: pk.Pos, Commit: pk.Commit, Volume: pk.Volume,
		Offset: pk.Offset, Length: pk.Length, Tag: pk.Tag, Flags: uint16(pk.Owner)&1 | uint16(pk.Kind)<<8,
	}
	if pk.Buf != nil && pk.Type == group.PacketRecord && pk.Kind == journal.Data && pk.Epoch == pk.Pos.Epoch {
		f.Flags |= flagBare
		f.Buf, f.Payload = pk.Buf, pk.Buf.Bytes()
		binary.BigEndian.PutUint64(f.Tag[:8], uint64(pk.Held))
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

func (w way) Lease() uint64  { return w.lease.Held(w.clock.Now()) }
func (w way) Period() uint64 { return w.lease.Period() }
func (w way) Ended() uint64  { return w.lease.Ended(w.clock.Now()) }
func (w way) Break()         { w.lease.BreakOff(w.clock.Now()) }
