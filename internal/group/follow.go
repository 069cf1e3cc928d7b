// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
)

// Receive takes a packet from the connection that is up. The group keeps its own
// reference on p.Buf; the caller releases its own.
func (g *Group) Receive(p Packet) {
	if p.Buf != nil {
		p.Buf.Retain()
	}
	ok := g.post(func() {
		g.receive(p)
		if p.Buf != nil {
			p.Buf.Release()
		}
	})
	if !ok && p.Buf != nil {
		p.Buf.Release()
	}
}

func (g *Group) receive(p Packet) {
	if p.Type == PacketHello {
		g.hello(binary.BigEndian.Uint64(p.Tag[:8]), binary.BigEndian.Uint64(p.Tag[8:]))
		return
	}
	if !g.fresh(p) {
		return
	}
	switch p.Type {
	case PacketState, PacketAsk, PacketAnswer:
		g.receiveVote(p)
	case PacketGrant:
		if binary.BigEndian.Uint64(p.Tag[:8]) == g.m.Stored().Current.ID && g.m.View().Role == arb.Paired {
			g.theirGrant = uint64(p.Length)
		}
	case PacketLog:
		if s, ok := decodeSegments(p.Body); ok && p.Epoch >= g.view.Epoch {
			g.theirLog, g.theirEpoch, g.hasTheirs = s, p.Epoch, true
			if p.Offset == 1 && !g.logWanted {
				g.logWanted, g.logAnswer = true, true
				if g.view.Role == arb.Paired {
					g.core.Lost() // it compares anew, so this side does
				}
			}
		}
	case PacketRecord:
		g.receiveRecord(p)
	case PacketHeld:
		g.core.PeerHolds(p.Epoch, p.Held)
		if p.Offset == 1 && p.Epoch == g.view.Epoch && !g.filling && g.cursor > p.Held+1 {
			g.cursor = p.Held + 1
		}
	case PacketCommit:
		g.core.Told(p.Epoch, p.Commit)
	case PacketPagesBegin, PacketPage, PacketPagesEnd, PacketPageAck:
		g.receiveCopy(p)
	case PacketCall:
		g.serveCall(p)
	case PacketReply:
		g.takeReply(p)
	}
}

func (g *Group) receiveVote(p Packet) {
	m, err := arb.ParseMessage(p.Body)
	if err != nil {
		g.cfg.Logger.Warn("message refused", "group", g.cfg.Name, "err", err)
		return
	}
	var out arb.Output
	switch {
	case m.State != nil:
		g.m.PeerState(nonce(), *m.State, &out)
	case m.Ask != nil:
		g.m.Asked(nonce(), *m.Ask, &out)
	case m.Answer != nil:
		g.m.Answered(nonce(), *m.Answer, &out)
	}
	g.carry(&out)
}

// receiveRecord journals a record of the other array if it is the next.
func (g *Group) receiveRecord(p Packet) {
	switch g.core.Receive(p.Epoch, p.Pos, p.Owner, p.Commit) {
	case replication.Have:
		g.held = 0 // acknowledge again
	case replication.Gap:
		g.sends = append(g.sends, Packet{Type: PacketHeld, Epoch: g.view.Epoch, Held: g.core.End().Place, Offset: 1})
	case replication.Take:
		r := journal.Record{
			Group: g.cfg.ID, Pos: p.Pos, Kind: p.Kind, Volume: p.Volume, Offset: p.Offset, Length: p.Length, Tag: p.Tag,
		}
		e := &entry{pos: p.Pos}
		switch {
		case p.Buf != nil:
			p.Buf.Retain()
			r.Payload, r.Buf, e.buf = p.Buf.Bytes(), p.Buf, p.Buf
		default:
			r.Payload = p.Body
		}
		r.Reserved = true
		e.rec = r
		if !g.cfg.Space.Reserve(journal.Cost(len(r.Payload))) {
			g.core.Untake()
			g.resend = true
			if e.buf != nil {
				e.buf.Release()
			}
			return // not acknowledged: the other sends it again when asked
		}
		g.core.PeerHolds(p.Epoch, p.Held)
		g.tail = append(g.tail, e)
		g.tailBytes += int64(len(r.Payload))
		g.appends = append(g.appends, r)
		if p.Kind == journal.Entry {
			g.saveSegments()
		}
	}
}

// acknowledge tells the other array what is durable here, and the commit place
// when no record carries it.
func (g *Group) acknowledge() {
	if g.cfg.Peer == nil || !g.contact || !g.core.Met() {
		return
	}
	owner := g.view.Role == arb.Alone || g.view.Role == arb.Paired && g.core.Owner() == g.cfg.Self
	if d := g.core.Durable(); d != g.held {
		g.held = d
		if !owner || g.core.Peer() > 0 && !g.core.Ready() {
			g.sends = append(g.sends, Packet{Type: PacketHeld, Epoch: g.view.Epoch, Held: d})
		}
	}
	if c := g.core.Commit(); c != g.told && (owner || g.core.CommittedOwner() == g.cfg.Self || g.switching != nil) {
		g.told = c
		g.sends = append(g.sends, Packet{Type: PacketCommit, Epoch: g.view.Epoch, Commit: c})
	}
}

// follow compares the logs once both are quiet, and sends what the other lacks.
func (g *Group) follow() {
	if g.cfg.Peer == nil || !g.contact {
		return
	}
	if !g.core.Quiet() && g.view.Role != arb.Alone {
		g.fill()
		return
	}
	if g.logWanted {
		g.sendLog()
	}
	if !g.hasTheirs || len(g.appends) > 0 || g.theirEpoch != g.view.Epoch || g.view.Role == arb.Held {
		g.fill()
		return
	}
	g.hasTheirs = false
	m, err := g.core.Meet(g.theirLog, g.wholeThere())
	switch {
	case m.Lost:
		g.event("the other array no longer holds what it acknowledged: it was restored, or its disk lies; it is left out and copied anew")
		var out arb.Output
		g.m.PeerStuck(nonce(), &out)
		g.carry(&out)
	case err != nil:
		g.cfg.Logger.Error("logs can't be joined", "group", g.cfg.Name, "err", err)
		g.event(err.Error())
	case m.Cut:
		if err := g.cutLog(m.After); err != nil {
			g.fail(fmt.Errorf("cut the log after place %d: %w", m.After, err))
			return
		}
		g.hasTheirs, g.logWanted = true, true
	case g.core.Met():
		g.cursor = m.Send + 1
		if m.Whole {
			g.cursor = 1
		}
		g.held = 0
	}
	g.fill()
}

// wholeThere reports whether the other copy was known to be current.
func (g *Group) wholeThere() bool {
	r := g.m.Stored().Current
	return g.m.Inputs().Synced || r.Rule == arb.Majority || r.DecidedBy(g.cfg.Self.Other())
}

// sendLog describes the durable log. Offset 1 asks for the other's in return.
func (g *Group) sendLog() {
	segs := replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), g.core.Durable())
	p := Packet{Type: PacketLog, Epoch: g.view.Epoch, Body: encodeSegments(segs), Offset: 1}
	if g.logAnswer {
		p.Offset = 0
	}
	g.logWanted, g.logAnswer = false, false
	g.sends = append(g.sends, p)
}

// cutLog drops, durably, what the other array's log does not share.
func (g *Group) cutLog(after array.Place) error {
	if _, last, ok := g.cfg.Log.Bounds(g.cfg.ID); ok && last.Place > after {
		if err := g.cfg.Log.Cut(g.cfg.ID, after); err != nil {
			return err
		}
	}
	g.core.CutDone(after)
	keep := g.tail[:0]
	for _, e := range g.tail {
		if e.pos.Place <= after {
			keep = append(keep, e)
			continue
		}
		if e.buf != nil {
			e.buf.Release()
		}
		g.tailBytes -= int64(len(e.rec.Payload))
		if e.work != nil {
			e.work.finish(array.Errorf(array.Busy, "group %s changed hands", g.cfg.Name))
		}
	}
	g.tail = keep
	g.endSwitch(array.Errorf(array.Conflict, "group %s: the hand-over was undone by a failure", g.cfg.Name))
	g.saveSegments()
	g.event(fmt.Sprintf("cut the log after place %d, where the other array's goes on differently", after))
	return nil
}

// fill sends what the other array lacks: from memory if it is all there, else
// from the journal, else from pages.
func (g *Group) fill() {
	if !g.core.Met() || g.cursor == 0 || g.filling || g.copying != nil || g.cursor > g.core.End().Place {
		return
	}
	if g.view.Role == arb.Out {
		return
	}
	if len(g.tail) > 0 && g.tail[0].pos.Place <= g.cursor {
		for _, e := range g.tail[g.cursor-g.tail[0].pos.Place:] {
			g.sends = append(g.sends, g.recordPacket(e.rec, g.ownerAt(e.pos), e.buf))
			g.cursor++
		}
		return
	}
	base, _, ok := g.cfg.Log.Bounds(g.cfg.ID)
	if !ok || g.cursor <= base.Place {
		g.startCopy()
		return
	}
	g.fillFromLog()
}

// ownerAt returns who owned the term of a position.
func (g *Group) ownerAt(p array.Position) array.Side {
	for _, s := range g.core.Segments() {
		if s.Epoch == p.Epoch && s.Term == p.Term {
			return s.Owner
		}
	}
	return g.cfg.Self
}

// fillBatch bounds the bytes sent from the journal before the other's word is
// waited for.
const fillBatch = 4 << 20

func (g *Group) fillFromLog() {
	if g.cursor > g.core.Peer()+1 && g.core.Peer()+1024 < g.cursor {
		return // enough is under way
	}
	g.filling = true
	from, epoch := g.cursor, g.view.Epoch
	go func() {
		var batch []journal.Record
		size := 0
		err := g.cfg.Log.Read(g.cfg.ID, from, func(r journal.Record) error {
			r.Payload = append([]byte(nil), r.Payload...)
			r.Buf = nil
			batch = append(batch, r)
			if size += len(r.Payload) + 64; size > fillBatch || len(batch) >= 1024 {
				return errStop
			}
			return nil
		})
		g.post(func() {
			g.filling = false
			if err != nil && err != errStop {
				g.cfg.Logger.Warn("read the journal for the other array", "group", g.cfg.Name, "err", err)
				return
			}
			if g.cursor != from || g.view.Epoch != epoch || !g.core.Met() {
				return
			}
			for _, r := range batch {
				g.sends = append(g.sends, g.recordPacket(r, g.ownerAt(r.Pos), nil))
				g.cursor = r.Pos.Place + 1
			}
		})
	}()
}
