// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"errors"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pair"
)

const (
	beat      = 80 * time.Millisecond
	pollEvery = 500 * time.Millisecond
	giveUp    = 1800 * time.Millisecond // a request to the witness
)

// wire is the connection between the arrays: ordered both ways, until it breaks.
type wire struct {
	up    bool
	cut   [2]bool // what this side sends does not arrive at this moment
	since time.Time
	delay time.Duration
	// slowUntil is until when what is sent takes slow longer.
	slowUntil time.Time
	slow      time.Duration
	q         [2][]parcel // by sender
}

type parcel struct {
	at     time.Time
	do     func(to *process)
	record bool
}

// send queues do for the other side.
func (w *world) send(from *process, do func(to *process)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := &w.net
	if from.dead.Load() || !n.up {
		return errors.New("no connection")
	}
	at := time.Now().Add(n.delay)
	if time.Now().Before(n.slowUntil) {
		at = at.Add(n.slow)
	}
	n.q[from.m.side] = append(n.q[from.m.side], parcel{at: at, do: do})
	return nil
}

// recordsPerStep is the bandwidth for records; 0: no bound.
var recordsPerStep int

// deliver hands over what has arrived. Of one sender all in order.
func (w *world) deliver() {
	for s := range array.Side(2) {
		n := 0
		for {
			w.mu.Lock()
			q := w.net.q[s]
			if len(q) > 0 && q[0].record && recordsPerStep > 0 {
				if n++; n > recordsPerStep {
					w.mu.Unlock()
					break
				}
			}
			to := w.m[s.Other()].p
			if len(q) == 0 || w.net.cut[s] || to == nil || to.starving() || q[0].at.After(time.Now()) {
				w.mu.Unlock()
				break
			}
			do := q[0].do
			w.net.q[s] = q[1:]
			w.mu.Unlock()
			do(to)
		}
	}
}

// broke ends the connection: what was under way is lost.
func (n *wire) broke(array.Side) { n.up, n.q = false, [2][]parcel{} }

// connect keeps the connection: a cut breaks it in the end, and it comes again.
func (w *world) connect() {
	w.mu.Lock()
	n := &w.net
	a, b := w.m[0].p, w.m[1].p
	cut := n.cut[0] || n.cut[1]
	if !cut {
		n.since = time.Now()
	}
	var tell func(*group.Group)
	switch {
	case n.up && cut && time.Since(n.since) > 3*time.Second:
		n.broke(0)
		tell = (*group.Group).Lost
	case !n.up && !cut && a != nil && b != nil:
		n.up = true
		tell = (*group.Group).Contact
	}
	w.mu.Unlock()
	if tell != nil {
		w.each(func(p *process) { tell(p.g) })
	}
}

func (p *process) starving() bool { return time.Now().Before(p.starved) || p.still() }

// leases asks, grants, and finds the other silent or back.
func (p *process) leases() {
	now := p.now()
	timing := pair.DefaultTiming()
	stamp := p.clock()
	stuck := time.Now().Before(p.stuckUntil) || p.jnl.Oldest(time.Now()) > timing.Stuck
	if stuck {
		p.lease.Drop(now)
	}
	if stuck != p.stuck {
		p.stuck = stuck
		p.g.Stuck(stuck)
		if !stuck {
			p.g.Contact()
		}
	}
	_ = p.w.send(p, func(to *process) {
		to.heard.Store(stamp)
		var period uint64
		if stuck {
			to.lease.GivenUp(to.now(), p.start())
			to.g.PeerStuck()
		} else {
			period = to.lease.Grant(to.now(), p.start())
		}
		_ = to.w.send(to, func(back *process) {
			if back == p {
				p.lease.Answered(p.now(), now, period)
			}
		})
	})
	quiet := now-p.lease.LastRenewed() > int64(timing.Detect)
	switch {
	case quiet && !p.silent:
		p.lease.BreakOff(now)
		p.silent = true
		p.w.tracef("%v finds the other silent", p.m.side)
		p.g.Silent()
	case !quiet && p.silent:
		p.silent = false
		p.g.Contact()
	case quiet && !p.told && now-p.born > int64(timing.Detect):
		p.told = true
		p.g.Silent()
	}
}

// way is a group's Peer.
type way struct{ *process }

func (y way) Send(pk group.Packet) error {
	p := y.process
	var data []byte
	if pk.Buf != nil {
		data = append([]byte(nil), pk.Buf.Bytes()...)
		pk.Buf = nil
	}
	if pk.Type == group.PacketMend && p.w.loseMends.Load() {
		return nil
	}
	if p.w.loseAfterCopy.Load() {
		if pk.Type == group.PacketPagesEnd {
			p.w.copied.Store(true)
		}
		if pk.Type == group.PacketRecord && p.w.copied.Load() {
			return nil
		}
	}
	if strange := pk.Offset < 0 || pk.Length < 0 || pk.Length > link.MaxLength; strange && pk.Type >= group.PacketPointBegin {
		p.w.fellf("a packet of type %d that no frame can carry: offset %d, length %d", pk.Type, pk.Offset, pk.Length)
	}
	if spy := p.w.spy.Load(); spy != nil {
		(*spy)(pk)
	}
	pk.Body = append([]byte(nil), pk.Body...)
	if p.w.loseGroups.Load() {
		return errors.New("no connection for groups")
	}
	if p.w.mutant == heldEarly && pk.Type == group.PacketRecord && p.number.Load() != 0 {
		held := group.Packet{Type: group.PacketHeld, Group: pk.Group, Epoch: pk.Epoch, Held: pk.Pos.Place}
		binary.BigEndian.PutUint64(held.Tag[8:], p.number.Load())
		p.w.mu.Lock()
		p.w.after(0, p, func() { p.g.Receive(held) })
		p.w.mu.Unlock()
	}
	defer func() {
		p.w.mu.Lock()
		if q := p.w.net.q[p.m.side]; len(q) > 0 && (pk.Type == group.PacketRecord || pk.Type == group.PacketPointPage) {
			q[len(q)-1].record = true
		}
		p.w.mu.Unlock()
	}()
	return p.w.send(p, func(to *process) {
		q := pk
		if data != nil {
			b, ok := to.buffers.Get(len(data))
			if !ok {
				return // as a connection that reads no further; it is asked for again
			}
			copy(b.Bytes(), data)
			q.Buf = b
			defer b.Release()
		}
		to.number.Store(binary.BigEndian.Uint64(q.Tag[8:]))
		to.g.Receive(q)
	})
}

// The machines' clocks show different times.
func (p *process) clock() int64 { return p.now() + int64(p.m.side)*int64(time.Minute) }

func (y way) Clock() int64 { return y.process.clock() }
func (y way) Stamp() int64 { return y.process.heard.Load() }
func (y way) Break()       { y.lease.BreakOff(y.now()) }

// Lease is what is asked before anything is done under a lease: a process that is stopped
// stands still right there, and believes its answer when it goes on.
func (y way) Lease() uint64 {
	held := y.lease.Held(y.now())
	y.alive()
	return held
}

func (y way) Period() uint64 {
	n := y.lease.Period()
	y.granted.Store(max(y.granted.Load(), n))
	return n
}

func (y way) Ended() uint64 {
	if y.w.mutant == noWait {
		return y.granted.Load()
	}
	return y.lease.Ended(y.now())
}

func (y way) Swap(_ array.GroupID, s arb.Swap) {
	y.w.mu.Lock()
	defer y.w.mu.Unlock()
	y.swap = &s
}

func (y way) ReadWitness(array.GroupID) {
	y.w.mu.Lock()
	defer y.w.mu.Unlock()
	y.look = true
}

// witness is the register, and how it is reached.
type witness struct {
	up      bool
	reach   [2]bool
	delay   time.Duration
	inc     uint64
	version uint64
	value   arb.Register
}

// ask lets a process talk to the witness: one request at a time.
func (p *process) ask() {
	w := p.w
	w.mu.Lock()
	now := time.Now()
	if p.asking || !p.look && p.swap == nil && now.Sub(p.asked) < pollEvery {
		w.mu.Unlock()
		return
	}
	s := p.swap
	p.asking, p.look, p.swap, p.asked = true, false, nil, now
	delay, reached := w.wit.delay, w.wit.up && w.wit.reach[p.m.side]
	w.mu.Unlock()
	if !reached {
		w.after(giveUp/4, p, func() { p.asking = false; p.g.WitnessLost(s != nil) })
		return
	}
	w.after(delay/2, p, func() {
		v := &w.wit
		if !v.up || !v.reach[p.m.side] {
			w.after(giveUp, p, func() { p.asking = false; p.g.WitnessLost(s != nil) })
			return
		}
		if s != nil && s.Incarnation == v.inc && s.Version == v.version {
			v.version, v.value = v.version+1, s.New
		}
		view := arb.WitnessView{Incarnation: v.inc, Version: v.version, Register: v.value}
		other := s != nil && s.Incarnation != v.inc
		w.after(delay/2, p, func() {
			p.asking = false
			if !v.reach[p.m.side] || other {
				p.g.WitnessLost(s != nil)
				return
			}
			p.g.WitnessSeen(view, s != nil)
		})
	})
}
