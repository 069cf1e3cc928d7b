// SPDX-License-Identifier: Apache-2.0

package model

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// step is one event on one side. do returns false if it can't happen.
type step struct {
	name string
	do   func(w *world, i array.Side, c *bounds) bool
}

// bounds is what the search varies besides the worlds.
type bounds struct {
	without arb.RuleSet
	// set changes the arrays' configuration.
	set func(*arb.Config)
}

func (c *bounds) config(i array.Side, prefer array.Members) arb.Config {
	cfg := arb.Config{Self: i, AutoFailover: true, WitnessStarted: true, Prefer: prefer, Without: c.without}
	if c.set != nil {
		c.set(&cfg)
	}
	return cfg
}

// run steps the machine of side i and carries out what it puts out.
func (w *world) run(i array.Side, f func(m *arb.Machine, nonce uint64, out *arb.Output)) {
	s := &w.s[i]
	before := s.m.Stored().Current
	nonce := 2 + s.nonce*2 + uint64(i)
	var out arb.Output
	f(&s.m, nonce, &out)
	st := s.m.Stored()
	used := st.Current.ID == nonce || st.Accepted.Record.ID == nonce
	if out.Persist {
		s.disk = st
	}
	for _, msg := range out.Messages {
		switch {
		case msg.Ask != nil:
			s.out.ask, s.out.hasAsk = *msg.Ask, true
			used = used || msg.Ask.Record.ID == nonce
		case msg.Answer != nil:
			s.out.answer, s.out.hasAns = *msg.Answer, true
		}
	}
	if out.Swap != nil {
		s.out.swap, s.out.hasSwap = *out.Swap, true
		used = used || out.Swap.New.Accepted.Record.ID == nonce
	}
	if used {
		s.nonce++
	}
	w.changed(i, before, st.Current)
}

// changed does to the log what a new record means for it.
func (w *world) changed(i array.Side, from, to arb.Record) {
	s := &w.s[i]
	if v := s.m.View(); v.Role != arb.Paired {
		s.reconciled = false
	}
	if from.ID == to.ID {
		return
	}
	if to.Lineage != from.Lineage && from.Lineage == 0 && to.Members != array.Only(i) && w.acked&^w.atForce != 0 {
		w.bad = givenUp
	}
	if to.Epoch != from.Epoch {
		s.pending = 0 // not handed to the journal at sealing: void
		s.reconciled = false
	}
}

var steps = []step{
	{"hears the other's state", func(w *world, i array.Side, _ *bounds) bool {
		p := &w.s[i.Other()]
		if !w.s[i].up || !p.up {
			return false
		}
		st := p.m.State()
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.PeerState(n, st, o) })
		return true
	}},
	{"is asked for its vote", func(w *world, i array.Side, _ *bounds) bool {
		p := &w.s[i.Other()]
		if !w.s[i].up || !p.out.hasAsk {
			return false
		}
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.Asked(n, p.out.ask, o) })
		return true
	}},
	{"gets an answer", func(w *world, i array.Side, _ *bounds) bool {
		p := &w.s[i.Other()]
		if !w.s[i].up || !p.out.hasAns {
			return false
		}
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.Answered(n, p.out.answer, o) })
		return true
	}},
	{"finds the other silent", func(w *world, i array.Side, _ *bounds) bool {
		if !w.s[i].up || w.left.silences == 0 || w.view(i).Members != array.Both {
			return false
		}
		w.left.silences--
		w.run(i, (*arb.Machine).PeerSilent)
		return true
	}},
	{"lets time pass", func(w *world, i array.Side, _ *bounds) bool {
		if !w.s[i].up || w.view(i).Members != array.Both {
			return false
		}
		w.run(i, (*arb.Machine).Retry)
		w.run(i, (*arb.Machine).HeadStartOver)
		return true
	}},
	{"grants a lease", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.up || s.granted != noLease || !s.m.Granting() {
			return false
		}
		s.granted, s.freshStart = held, false
		return true
	}},
	{"loses its lease", func(w *world, i array.Side, _ *bounds) bool {
		p := &w.s[i.Other()]
		if p.granted == noLease {
			return false
		}
		p.granted = noLease
		return true
	}},
	{"sees its grants ended", func(w *world, i array.Side, c *bounds) bool {
		s := &w.s[i]
		early := c.without&arb.StartAsGranted != 0 && s.freshStart
		if !s.up || s.m.Granting() || s.granted != noLease && !early || s.m.Inputs().GrantEnded {
			return false
		}
		w.run(i, (*arb.Machine).GrantEnded)
		return true
	}},
	{"takes the other back in", func(w *world, i array.Side, _ *bounds) bool {
		s, p := &w.s[i], &w.s[i.Other()]
		in := s.m.Inputs()
		if !s.up || !p.up || w.view(i).Role != arb.Alone || !in.Contact || p.m.Stored().Current.ID != s.m.Stored().Current.ID {
			return false
		}
		k := uint8(0)
		for k < p.n && k < s.n && p.log[k] == s.log[k] {
			k++
		}
		for x := k; x < p.n; x++ {
			p.log[x] = 0
		}
		p.n = k
		w.run(i, (*arb.Machine).Join)
		return true
	}},
	{"reconciles", func(w *world, i array.Side, _ *bounds) bool {
		s, p := &w.s[i], &w.s[i.Other()]
		a, b := w.view(i), w.view(i.Other())
		if !s.up || !p.up || s.reconciled && p.reconciled || a.Opener != i ||
			a.Role != arb.Paired || b.Role != arb.Paired || a.Epoch != b.Epoch {
			return false
		}
		if s.pending != 0 {
			return false
		}
		if p.n > s.n {
			s.log, s.n = p.log, p.n
		} else {
			p.log, p.n = s.log, s.n
		}
		s.reconciled, p.reconciled = true, true
		w.run(i, (*arb.Machine).Synced)
		return true
	}},
}
