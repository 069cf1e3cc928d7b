// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/link"
)

// leases is the account of both directions. Times are Clock nanoseconds.
type leases struct {
	mu sync.Mutex
	t  Timing
	// Held from the other array.
	until   int64  // by this array's clock
	renewed int64  // when the request of the newest answer was sent
	floor   int64  // answers to requests sent up to here give no lease: it was given up
	period  uint64 // the other's
	// Granted to the other array.
	granting  uint64 // 0: not now
	last      uint64 // newest period begun
	lastGrant int64
	broken    []brokenPeriod // oldest first
	ended     uint64
	born      int64
}

// brokenPeriod is one that was broken off, with the last grant of it.
type brokenPeriod struct {
	period    uint64
	lastGrant int64
}

// maxBroken bounds the broken periods that are remembered. One that is forgotten
// counts as ended later, with the next.
const maxBroken = 64

func (l *leases) start(now int64, t Timing) {
	l.t, l.last, l.lastGrant, l.born = t, 1, now, now
	l.broken = []brokenPeriod{{1, now}} // as if it had just granted
	l.renewed = now - int64(t.Detect) - 1
}

// held returns the period of the lease that is held at now, 0 if none is.
func (l *leases) held(now int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now >= l.until {
		return 0
	}
	return l.period
}

// answered takes a grant for the request sent at sent.
func (l *leases) answered(now, sent int64, period uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sent > now || sent < l.renewed || sent <= l.floor || now-sent > int64(l.t.Lease) || period == 0 {
		return
	}
	l.renewed, l.period = sent, period
	l.until = sent + int64(l.t.Lease)
}

// drop gives the lease up. A grant that is still on its way gives none.
func (l *leases) drop(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.floor = 0, now
}

// grant begins or goes on with a period and returns it.
func (l *leases) grant(now int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	if l.granting == 0 {
		l.last++
		l.granting = l.last
	}
	l.lastGrant = now
	return l.granting
}

func (l *leases) breakOff(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	if l.granting == 0 {
		return
	}
	if len(l.broken) == maxBroken {
		l.broken = append(l.broken[:0], l.broken[1:]...)
	}
	l.broken = append(l.broken, brokenPeriod{l.granting, l.lastGrant})
	l.granting = 0
}

// settle notes what has surely ended: a period whose last grant is older than a
// lease can be, whatever was granted in later ones.
func (l *leases) settle(now int64) {
	over := func(granted int64) bool { return now-granted > int64(l.t.Lease+l.t.margin()) }
	for len(l.broken) > 0 && over(l.broken[0].lastGrant) {
		l.ended = max(l.ended, l.broken[0].period)
		l.broken = append(l.broken[:0], l.broken[1:]...)
	}
	if l.granting != 0 && over(l.lastGrant) {
		l.ended, l.granting = l.granting, 0 // nobody asks any more
	}
}

func (l *leases) endedPeriod(now int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	return l.ended
}

func (l *leases) grantingPeriod() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granting
}

func (l *leases) lastRenewed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed
}

// The frames of leases travel on the control connections of every link.
const (
	frameAsk   = link.FirstType      // Offset: when it was sent; Flags 1: the sender's journal is stuck
	frameGrant = link.FirstType + 1  // Offset: as asked; Length: the period, 0 for none
	frameCall  = link.FirstType + 2  // management request
	frameReply = link.FirstType + 3  // and its answer
	frameGroup = link.FirstType + 16 // and up: group packets
)

const flagStuck = 1

// beat asks for leases, finds the other array silent, and watches the own journal.
func (p *Pair) beat(ctx context.Context) {
	t := time.NewTicker(p.cfg.Timing.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !p.clock.Sane() {
			p.lease.drop(p.clock.Now())
			p.lease.breakOff(p.clock.Now())
			p.event("the clocks of this machine disagree; the lease was dropped")
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
	for _, l := range p.cfg.Link.Links {
		_ = p.peer.Send(f, link.ControlOn(l.Name)) // a link that is down asks later
	}
}

func (p *Pair) checkStuck() {
	if p.cfg.Oldest == nil {
		return
	}
	stuck := p.cfg.Oldest() > p.cfg.Timing.Stuck
	p.mu.Lock()
	was := p.stuck
	p.stuck = stuck
	p.mu.Unlock()
	if stuck == was {
		return
	}
	if stuck {
		p.lease.drop(p.clock.Now())
		p.event("this array's journal is stuck; it gives up its lease")
	}
	p.each(func(g Group) { g.Stuck(stuck) })
	if !stuck {
		// The other array took this one for stuck and sealed its groups: begin anew.
		p.each(Group.Contact)
	}
}

// checkSilence compares the newest renewal with the detection time.
func (p *Pair) checkSilence() {
	now := p.clock.Now()
	quiet := now-p.lease.lastRenewed() > int64(p.cfg.Timing.Detect)
	p.mu.Lock()
	was := p.silent
	p.silent = quiet
	p.mu.Unlock()
	if quiet && !was {
		p.lease.breakOff(now)
		p.event("the other array fell silent")
		p.each(Group.Silent)
	}
	if !quiet && was {
		p.event("the other array answers")
		p.each(Group.Contact)
	}
	if quiet && was && now-p.clockStart() < int64(10*time.Second) && now-p.clockStart() > int64(p.cfg.Timing.Detect) {
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
	if !p.newest(c.Peer.Start, f.Offset) {
		return // overtaken on another link: what it says of a lease is out of date
	}
	if f.Flags&flagStuck != 0 {
		// It may work again in a moment and ask: what it holds by then is of a new period.
		p.lease.breakOff(p.clock.Now())
		p.each(Group.PeerStuck)
		return
	}
	g := link.Frame{Type: frameGrant, Offset: f.Offset, Length: int64(p.lease.grant(p.clock.Now()))}
	_ = c.Send(g)
}

// newest reports whether a request is of the other array's process that connected
// last, and not older than one that came before it.
func (p *Pair) newest(start array.StartID, sent int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if start != p.system.Start || start == p.asker && sent < p.askedAt {
		return false
	}
	p.asker, p.askedAt = start, sent
	return true
}

func (p *Pair) granted(f link.Frame) {
	p.lease.answered(p.clock.Now(), f.Offset, uint64(f.Length))
}

func putUint64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }
