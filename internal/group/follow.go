// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
)

// What Offset of a PacketHeld says.
const (
	// heldAgain: a record is missing; send again from Length on. That is what was handed to
	// the journal, and acknowledges nothing: only what is durable counts.
	heldAgain = 1
	// heldPartial: the log is held, but the pages below it are not whole yet.
	heldPartial = 2
)

// Receive takes a packet from the connection that is up. The group keeps its own
// reference on p.Buf; the caller releases its own.
func (g *Group) Receive(p Packet) {
	if p.Buf != nil {
		p.Buf.Retain()
	}
	if ok := g.deliver(posted{packet: p}); !ok && p.Buf != nil {
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
		// Said after the other side compared the records; this one serves only once it has
		// too, which may be a moment later.
		if binary.BigEndian.Uint64(p.Tag[:8]) == g.m.Stored().Current.ID {
			g.theirGrant = uint64(p.Length)
		}
	case PacketLog:
		g.receiveLog(p)
	case PacketRecord:
		g.receiveRecord(p)
	case PacketHeld:
		if p.Offset == heldAgain {
			g.sendAgain(p)
			return
		}
		g.core.PeerHolds(p.Epoch, p.Held)
		if p.Epoch == g.view.Epoch {
			g.peerApplied = max(g.peerApplied, p.Commit)
		}
		g.peerPartial = g.copying != nil || p.Offset == heldPartial
	case PacketCommit:
		g.core.Told(p.Epoch, p.Commit)
	case PacketForward:
		g.serveForward(p)
	case PacketPlaced:
		g.receivePlaced(p)
	case PacketRefused:
		g.takeRefused(p)
	case PacketPagesBegin, PacketPage, PacketPagesState, PacketPagesEnd, PacketPageAck:
		g.receiveCopy(p)
	case PacketPointBegin, PacketPointAsk, PacketPointPage, PacketPointState, PacketPointEnd, PacketPointAck:
		g.receivePoint(p)
	case PacketCall:
		g.serveCall(p)
	case PacketReply:
		g.takeReply(p)
	case PacketWant:
		g.serveWant(p)
	case PacketMend:
		if !g.takeSums(p) {
			g.takeMend(p)
		}
	case PacketDescribed:
		g.theirChange = binary.BigEndian.Uint64(p.Tag[:8])
		g.learnKnown()
	case PacketRepeat:
		g.repeatNews(p)
	case PacketFailed:
		var out arb.Output
		g.m.PeerStuck(nonce(), &out)
		if p.Offset == failedForGood {
			g.m.GrantEnded(nonce(), &out)
		}
		g.carry(&out)
	}
}

// sendAgain sends from where the other array lacks a record on.
func (g *Group) sendAgain(p Packet) {
	if p.Epoch != g.view.Epoch {
		return
	}
	lacks := array.Place(p.Length) // an older release says it in Held
	if lacks <= 0 {
		lacks = p.Held
	}
	if g.view.Role == arb.Alone && lacks < g.core.Peer() {
		// It cut more than was reckoned here. What it lacks may be released; then its
		// pages are sent.
		g.core.PeerRebased(lacks)
	}
	// Not before what it has acknowledged since: that may be released here.
	if again := max(lacks, g.core.Peer()) + 1; g.cursor > again {
		g.sendFrom(again)
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
		g.theirRecord = m.State.Current
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
	if g.failed != nil {
		return
	}
	if g.shadowed && !g.leavesPoint() {
		g.resend = true
		return
	}
	term := g.core.End().Term
	switch g.core.Receive(p.Epoch, p.Pos, p.Owner, p.Commit) {
	case replication.Refuse:
		g.resend = g.resend || p.Epoch == g.view.Epoch && !g.core.Met()
	case replication.Have:
		g.held = 0 // acknowledge again
	case replication.Gap:
		g.askMissing()
	case replication.Take:
		r := journal.Record{
			Group: g.cfg.ID, Pos: p.Pos, Kind: p.Kind, Volume: p.Volume, Offset: p.Offset, Length: p.Length, Tag: p.Tag,
		}
		e := g.newEntry()
		e.pos = p.Pos
		switch {
		case p.Buf != nil:
			p.Buf.Retain()
			r.Payload, r.Buf, e.buf = p.Buf.Bytes(), p.Buf, p.Buf
		default:
			r.Payload = p.Body
		}
		e.rec = r
		g.lay(e)
		if !g.cfg.Space.Reserve(journal.Cost(len(r.Payload))) {
			g.core.Untake()
			g.resend = true
			g.noRoom()
			if e.buf != nil {
				e.buf.Release()
			}
			return // not acknowledged: the other sends it again when asked
		}
		g.hasRoom()
		if p.Pos.Term != term && p.Pos.Epoch == g.view.Epoch {
			// A term of an older epoch says nothing: more of that epoch may be on its way,
			// and may have been acknowledged by the other array alone.
			g.termBegan()
		}
		g.departs(e.rec)
		g.attach(e)
		g.core.PeerHolds(p.Epoch, p.Held)
		g.lengthen(e)
		g.tailBytes += int64(len(r.Payload))
		g.appends = append(g.appends, e.rec)
		if p.Kind == journal.Entry {
			g.saveSegments()
		}
	}
}

// acknowledge tells the other array what is durable here, and the commit place
// when no record carries it.
func (g *Group) acknowledge() {
	if g.failed != nil || g.cfg.Peer == nil || !g.contact || !g.core.Met() {
		return
	}
	owner := g.view.Role == arb.Alone || g.view.Role == arb.Paired && g.core.Owner() == g.cfg.Self
	if d := g.core.Durable(); d != g.held || g.tellApplied {
		// The other array may wait for this one's word on a write of its own, or on a
		// change of reservations that it answers for.
		waits := g.foreignEnd > g.held || g.tellApplied
		g.held, g.tellApplied = d, false
		if !owner || g.core.Peer() > 0 && !g.core.Ready() || waits {
			p := Packet{Type: PacketHeld, Epoch: g.view.Epoch, Held: d, Commit: g.applied}
			if g.rebuild != nil {
				p.Offset = heldPartial
			}
			g.sends = append(g.sends, p)
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
		g.alarm("the other array no longer holds what it acknowledged: it was restored, or its disk lies; it is left out and copied anew")
		var out arb.Output
		g.m.PeerBehind(nonce(), &out)
		g.carry(&out)
	case err != nil:
		g.cfg.Logger.Error("logs can't be joined", "group", g.cfg.Name, "err", err)
		if text := err.Error(); g.unjoinable != text { // it is so at every try
			g.unjoinable = text
			g.alarm(text)
		}
	case m.Cut:
		if err := g.cutLog(m.After); err != nil {
			g.fail(fmt.Errorf("cut the log after place %d: %w", m.After, err))
			return
		}
		// Under another number: the other array may have taken the description that the cut
		// made wrong, and would believe that this one holds what was cut.
		g.stretch++
		g.hasTheirs, g.logWanted = true, true
	case g.core.Met():
		g.metStretch, g.unjoinable = g.theirStretch, ""
		g.sendFrom(m.Send + 1)
		g.held = 0
	}
	g.fill()
}

// wholeThere reports whether the other copy was known to be current.
func (g *Group) wholeThere() bool {
	r := g.m.Stored().Current
	return g.m.Inputs().Synced || r.Rule == arb.Majority || r.DecidedBy(g.cfg.Self.Other())
}

// sendLog describes the log. Each stretch of a view has a number; a description names the
// sender's and repeats the newest it has of the receiver's, who sends its own again if
// that is not its present one. So both end up with a description that was made after both
// views began.
//
// Alone, the log is described with what is not durable yet: the other array may hold that
// already, and would cut it.
func (g *Group) sendLog() {
	g.logWanted = false
	g.sends = append(g.sends, Packet{
		Type: PacketLog, Epoch: g.view.Epoch, Body: encodeSegments(g.core.Segments()), Length: int64(g.stretch), Volume: array.VolumeID(g.theirStretch),
	})
}

func (g *Group) receiveLog(p Packet) {
	s, ok := decodeSegments(p.Body)
	if !ok || p.Epoch < g.view.Epoch {
		return
	}
	if theirs := uint64(p.Length); theirs != g.metStretch || !g.core.Met() {
		g.theirLog, g.theirEpoch, g.theirStretch, g.hasTheirs = s, p.Epoch, theirs, true
		if g.view.Role == arb.Paired {
			g.core.Lost() // it compares anew, so this side does
			g.termStretch = 0
		}
	}
	if uint64(p.Volume) != g.stretch {
		g.logWanted = true
	}
	g.follow() // now, so that the records behind it find it done
}

// newStretch: the view or the contact changed; all is compared again.
func (g *Group) newStretch() {
	g.stretch++
	g.theirStretch, g.metStretch, g.hasTheirs = 0, 0, false
	g.peerPartial = true // until it says otherwise
	g.refusedAt = time.Time{}
	g.foreignEnd, g.peerApplied = 0, 0
	g.logWanted = g.contact
}

// cutLog drops, durably, what the other array's log does not share.
func (g *Group) cutLog(after array.Place) error {
	if _, last, ok := g.cfg.Log.Bounds(g.cfg.ID); ok && last.Place > after {
		if err := g.cfg.Log.Cut(g.cfg.ID, after); err != nil {
			return err
		}
	}
	g.core.CutDone(after)
	g.endSwitch(array.Errorf(array.Conflict, "%s: the hand-over was undone by a failure", g.what()))
	keep := g.tail[:0]
	for _, e := range g.tail {
		if e.pos.Place <= after {
			keep = append(keep, e)
			continue
		}
		g.tailBytes -= int64(len(e.rec.Payload))
		g.dropEntry(e)
	}
	clear(g.tail[len(keep):])
	g.tail = keep
	for _, t := range g.repeats {
		t.cut(after)
	}
	g.saveSegments()
	g.event(fmt.Sprintf("cut the log after place %d, where the other array's goes on differently", after))
	return nil
}

// dropEntry lets go of a record that will never take effect here.
func (g *Group) dropEntry(e *entry) {
	g.lands(e.rec)
	if e.buf != nil {
		e.buf.Release()
	}
	if u := g.units[e.rec.Volume]; u != nil && e.rec.Kind == journal.Entry {
		u.reserving = false
	}
	if e.work != nil {
		e.work.finish(array.Errorf(array.Busy, "%s changed hands", g.what()))
	}
	if e.then != nil {
		e.then() // a reset that waited for it
	}
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
