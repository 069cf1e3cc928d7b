// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

// The frames of leases travel on the control connections of every link.
const (
	frameAsk   = link.FirstType      // Offset: when it was sent; Flags 1: the sender's journal is stuck
	frameGrant = link.FirstType + 1  // Offset: as asked; Length: the period, 0 for none
	frameCall  = link.FirstType + 2  // management request
	frameReply = link.FirstType + 3  // and its answer
	frameProbe = link.FirstType + 4  // data to measure a link by; Offset: its number, Tag: whose
	frameHeard = link.FirstType + 5  // and its answer; Length: how much came, Commit: its checksum
	frameGroup = link.FirstType + 16 // and up: group packets
)

const (
	flagStuck    = 1 // of a request
	flagStandsIn = 1 // of a grant: the sender has the other array's portal addresses
)

// beat asks for leases, finds the other array silent, and watches the own journal.
func (p *Pair) beat(ctx context.Context) {
	t := time.NewTicker(p.cfg.Timing.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-p.early:
		}
		if !p.clock.Sane() {
			p.lease.Drop(p.clock.Now())
			p.lease.BreakOff(p.clock.Now())
			p.alarm("the clocks of this machine disagree; the lease was dropped")
		}
		p.checkStuck()
		p.askAll()
		p.checkSilence()
	}
}

func (p *Pair) askAll() {
	f := link.Frame{Type: frameAsk, Offset: p.clock.Now()}
	p.mu.Lock()
	if p.stuck {
		f.Flags = flagStuck
	}
	p.mu.Unlock()
	for _, name := range p.peer.Links() {
		_ = p.peer.Send(f, link.ControlOn(name)) // a link that is down asks later
	}
}

func (p *Pair) checkStuck() {
	if p.cfg.Oldest == nil {
		return
	}
	stuck := p.cfg.Oldest() > p.cfg.Timing.Stuck
	if stuck {
		p.lease.Drop(p.clock.Now()) // before it is said, and anew each time
	}
	p.mu.Lock()
	was := p.stuck
	p.stuck = stuck
	p.mu.Unlock()
	if stuck == was {
		return
	}
	if stuck {
		p.lasts(Stuck, true, "this array's journal is stuck; it gives up its lease")
	} else {
		p.lasts(Stuck, false, "this array's journal goes on")
	}
	p.each(func(g Group) { g.Stuck(stuck) })
	if !stuck {
		// The other array took this one for stuck and sealed its groups: begin anew.
		p.each(Group.Contact)
	}
}

// checkSilence compares the newest renewal with the detection time.
func (p *Pair) checkSilence() {
	p.telling.Lock()
	defer p.telling.Unlock()
	now := p.clock.Now()
	quiet := p.quiet.after(now, p.lease.LastRenewed(), p.cfg.Timing)
	p.mu.Lock()
	was := p.silent
	p.silent = quiet
	p.mu.Unlock()
	if quiet && !was {
		p.lease.BreakOff(now)
		p.lasts(Silence, true, "the other array fell silent")
		p.each(Group.Silent)
	}
	if !quiet && was {
		p.lasts(Silence, false, "the other array answers")
		p.each(Group.Contact)
	}
	if quiet && was && now-p.clockStart() > int64(p.cfg.Timing.Detect) {
		p.silentAtStart()
	}
}

// clockStart is when the relation was opened.
func (p *Pair) clockStart() int64 {
	p.lease.mu.Lock()
	defer p.lease.mu.Unlock()
	return p.lease.born
}

// silentAtStart tells the groups once that nobody answered since the start.
func (p *Pair) silentAtStart() {
	p.mu.Lock()
	told := p.toldSilent
	p.toldSilent = true
	p.mu.Unlock()
	if !told {
		p.each(Group.Silent)
	}
}

func (p *Pair) asked(c *link.Conn, f link.Frame) {
	stuck := f.Flags&flagStuck != 0
	period, ok := p.account(c.Peer.Start, f.Offset, stuck)
	if !ok {
		return // overtaken on another link: what it says of a lease is out of date
	}
	if stuck {
		p.each(Group.PeerStuck)
	}
	if period != 0 && p.began.Swap(period) != period {
		p.each(Group.Wake)
	}
	// Without a period it says that this array is there.
	answer := link.Frame{Type: frameGrant, Offset: f.Offset, Length: int64(period)}
	if p.cfg.StandsIn != nil && p.cfg.StandsIn() {
		answer.Flags = flagStandsIn
	}
	_ = c.Send(answer)
}

// account grants for a request, or takes the word of one that gives its lease up: it may
// work again in a moment and ask, and what it holds by then is of a new period. Only a
// request of the other array's process that connected last counts, and none that is older
// than one before it; that is looked at and done in one step, since each link has a reader
// of its own.
func (p *Pair) account(start array.StartID, sent int64, stuck bool) (period uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if start != p.system.Start || start == p.asker && sent < p.askedAt {
		return 0, false
	}
	p.asker, p.askedAt = start, sent
	if stuck {
		p.lease.GivenUp(p.clock.Now(), start)
		return 0, true
	}
	return p.lease.Grant(p.clock.Now(), start), true
}

// Stamp returns the newest reading of the other array's clock that its present process
// sent.
func (p *Pair) Stamp() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asker != p.system.Start {
		return 0
	}
	return p.askedAt
}

func (p *Pair) granted(f link.Frame) {
	// The mark before the lease: who sees that there is a lease sees its mark.
	now := p.clock.Now()
	p.mu.Lock()
	if f.Offset <= now && f.Offset >= p.grantSent { // none answers what was not asked yet
		p.grantSent, p.peerStandsIn = f.Offset, f.Flags&flagStandsIn != 0
	}
	p.mu.Unlock()
	p.lease.Answered(now, f.Offset, uint64(f.Length))
}

// Standing returns whether this array has the other's lease, whether the other said with
// its newest grant that it stands in at this array's portal addresses, and whether
// anything that this array granted may still run.
func (p *Pair) Standing() (contact, peerStandsIn, granting bool) {
	now := p.clock.Now()
	contact, granting = p.lease.Held(now) != 0, p.lease.Running(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	return contact, p.peerStandsIn, granting
}

func putUint64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }
