// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// Times of the simulated pair, in milliseconds: those of the shell around the core.
const (
	beat      = 80  // between two requests for a lease
	leaseLong = 900 // from when it was asked for
	surely    = 930 // from when it was granted
	detect    = 550 // without renewal, the other is silent
	poll      = 500 // between two looks at the witness
	headStart = 200
	retry     = 300
	answerIn  = 4000 // of the witness
	rejoin    = 500
	syncIn    = 100 // to compare the logs and open a term
)

// side is one array: the machine, its disk, and what the shell around it keeps.
type side struct {
	m          arb.Machine
	disk       arb.Stored
	up, frozen bool
	contact    bool
	silent     bool
	renewed    int // when the request of the newest answer was sent
	leaseUntil int
	granted    int // when a lease was granted last
	sealedAt   int
	retryAt    int
	joinAfter  int
	meetAt     int // since when both follow the same record
	swapAt     int // when the swap under way was sent; 0 if none is
	swap       arb.Swap
	stopped    bool
	stuck      bool
}

// pair is two arrays and a witness in simulated time.
type pair struct {
	t         *testing.T
	now       int
	nonce     uint64
	s         [2]side
	link      [2]bool // messages sent by this side arrive
	reach     [2]bool // this side reaches the witness
	witness   bool
	roundTrip int
	inc       uint64
	version   uint64
	register  arb.Register
	posts     []post
	gap, most int // without service, now and at most
	prefer    array.Members
}

type post struct {
	to  array.Side
	msg arb.Message
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, link: [2]bool{true, true}, reach: [2]bool{true, true}, witness: true, inc: 1, nonce: 1}
	for i := range array.Side(2) {
		p.s[i].disk = arb.Stored{Current: arb.First(array.SideA, 1)}
		p.start(i)
	}
	return p
}

func (p *pair) start(i array.Side) {
	cfg := arb.Config{Self: i, AutoFailover: true, WitnessStarted: true, Prefer: p.prefer}
	old := &p.s[i]
	p.s[i] = side{
		m: arb.New(cfg, old.disk), disk: old.disk, up: true, silent: true, stopped: old.stopped,
		renewed: p.now - detect - 1, granted: p.now, sealedAt: p.now,
	}
	p.s[i.Other()].contact = false // its connection broke
}

// run steps a machine and carries out what it puts out: store, then send.
func (p *pair) run(i array.Side, f func(m *arb.Machine, nonce uint64, out *arb.Output)) {
	s := &p.s[i]
	if !s.up || s.frozen {
		return
	}
	var out arb.Output
	was := s.m.View().Sealed
	p.nonce++
	f(&s.m, p.nonce, &out)
	if out.Persist {
		s.disk = s.m.Stored()
	}
	if s.m.View().Sealed && !was {
		s.sealedAt = p.now
	}
	for _, m := range out.Messages {
		if s.contact && p.link[i] {
			p.posts = append(p.posts, post{i.Other(), m})
		}
	}
	if out.Swap != nil {
		s.swap, s.swapAt, s.retryAt = *out.Swap, p.now, p.now+answerIn
	}
}

// tick lets one hundredth of a second pass.
func (p *pair) tick() {
	p.now += 10
	p.deliver()
	for i := range array.Side(2) {
		if s := &p.s[i]; s.up && !s.frozen {
			p.lease(i)
			p.look(i)
			p.follow(i)
			p.time(i)
		}
	}
	p.check()
}

func (p *pair) deliver() {
	posts := p.posts
	p.posts = nil
	for _, x := range posts {
		p.run(x.to, func(m *arb.Machine, n uint64, out *arb.Output) {
			switch {
			case x.msg.State != nil:
				m.PeerState(n, *x.msg.State, out)
			case x.msg.Ask != nil:
				m.Asked(n, *x.msg.Ask, out)
			case x.msg.Answer != nil:
				m.Answered(n, *x.msg.Answer, out)
			}
		})
	}
}

// lease asks for one, takes the answer, and finds the other silent or back.
func (p *pair) lease(i array.Side) {
	s, o := &p.s[i], &p.s[i.Other()]
	if p.now%beat < 10 && p.link[0] && p.link[1] && o.up && !o.frozen {
		s.renewed = p.now
		if o.m.Granting() {
			o.granted = p.now
			if !s.stuck {
				s.leaseUntil = p.now + leaseLong
			}
		}
	}
	quiet := p.now-s.renewed > detect
	switch {
	case quiet && !s.silent || quiet && s.sealedAt+detect == p.now:
		s.silent, s.contact, s.joinAfter = true, false, p.now+rejoin
		p.run(i, (*arb.Machine).PeerSilent)
	case !quiet && (s.silent || !s.contact) && o.up && !o.frozen:
		// A greeting begins the contact on both sides.
		s.silent, s.contact, o.contact = false, true, true
		for j := range array.Side(2) {
			p.run(j, func(m *arb.Machine, _ uint64, out *arb.Output) { m.Connected(out) })
			if p.s[j].stuck {
				p.run(j.Other(), (*arb.Machine).PeerStuck)
			}
		}
	}
}

// look reads the witness, or takes the outcome of a swap.
func (p *pair) look(i array.Side) {
	s := &p.s[i]
	there := p.witness && p.reach[i]
	view := func(m *arb.Machine, n uint64, out *arb.Output) {
		m.WitnessSeen(n, arb.WitnessView{Incarnation: p.inc, Version: p.version, Register: p.register}, out)
	}
	switch {
	case s.swapAt != 0 && p.now < s.swapAt+p.roundTrip:
	case s.swapAt != 0 && there:
		if s.swap.Incarnation == p.inc && s.swap.Version == p.version {
			p.version, p.register = p.version+1, s.swap.New
		}
		s.swapAt = 0
		p.run(i, view)
	case s.swapAt != 0:
		s.swapAt = 0
		p.run(i, (*arb.Machine).WitnessLost)
	case p.now%poll < 10 && there:
		p.run(i, view)
	case p.now%poll < 10:
		p.run(i, (*arb.Machine).WitnessLost)
	}
}

// follow tells the machine what only the logs know.
func (p *pair) follow(i array.Side) {
	s, o := &p.s[i], &p.s[i.Other()]
	v := s.m.View()
	if !s.contact || !o.contact || o.disk.Current.ID != s.disk.Current.ID {
		s.meetAt = p.now
		return
	}
	if p.now-s.meetAt < syncIn {
		return
	}
	switch {
	case v.Role == arb.Paired && o.m.View().Role == arb.Paired && (!s.m.Inputs().Synced || s.m.Inputs().Doubted):
		p.run(i, (*arb.Machine).Synced)
	case v.Role == arb.Alone && !s.stopped && !o.stopped && !o.stuck && p.now > s.joinAfter:
		p.run(i, (*arb.Machine).Join)
	}
}

// time is what the shell does at each tick.
func (p *pair) time(i array.Side) {
	s := &p.s[i]
	if in := s.m.Inputs(); !in.GrantEnded && !s.m.Granting() && p.now > s.granted+surely {
		p.run(i, (*arb.Machine).GrantEnded)
	}
	in, v := s.m.Inputs(), s.m.View()
	unsettled := v.Members == array.Both && v.Role == arb.Held
	if unsettled && v.Sealed && in.GrantEnded && p.now-s.sealedAt > headStart {
		p.run(i, (*arb.Machine).HeadStartOver)
	}
	if (unsettled || s.m.Asking()) && p.now > s.retryAt {
		s.retryAt, s.swapAt = p.now+retry, 0
		p.run(i, (*arb.Machine).Retry)
		if s.contact && !in.Matched {
			p.run(i, func(m *arb.Machine, _ uint64, out *arb.Output) { m.Connected(out) })
		}
	}
}

// serves reports whether side i may answer hosts now.
func (p *pair) serves(i array.Side) bool {
	s := &p.s[i]
	if !s.up || s.frozen {
		return false
	}
	switch s.m.View().Role {
	case arb.Alone:
		return true
	case arb.Paired:
		return s.m.Inputs().Owner == i && p.now < s.leaseUntil && p.now-s.meetAt >= syncIn
	}
	return false
}

func (p *pair) serving() string {
	switch {
	case p.serves(array.SideA):
		return "A"
	case p.serves(array.SideB):
		return "B"
	}
	return "none"
}

// check looks for what must never happen, and keeps the account of the gaps.
func (p *pair) check() {
	p.t.Helper()
	if p.serves(array.SideA) && p.serves(array.SideB) {
		p.t.Fatalf("%d ms: both serve: A %v, B %v", p.now, p.s[0].disk.Current, p.s[1].disk.Current)
	}
	if p.gap += 10; p.serving() != "none" {
		p.gap = 0
	}
	p.most = max(p.most, p.gap)
}

// until lets time pass until done, at most for limit milliseconds.
func (p *pair) until(limit int, done func() bool) bool {
	for end := p.now + limit; p.now < end; p.tick() {
		if done() {
			return true
		}
	}
	return done()
}

func (p *pair) whole() bool {
	return p.s[0].m.View().Role == arb.Paired && p.s[1].m.View().Role == arb.Paired &&
		p.s[0].disk.Current.ID == p.s[1].disk.Current.ID && p.serving() != "none" &&
		(p.s[0].m.Inputs().Synced || p.s[0].disk.Current.Rule == arb.Majority)
}
