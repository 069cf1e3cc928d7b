// SPDX-License-Identifier: Apache-2.0

package model

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// starts are the worlds a search begins with: a pair that serves with the witness
// armed, one that serves with A chosen in advance, and A alone with B out; and the first two
// of a group that names B as preferred.
func starts(c *bounds) []world {
	armed := arb.Record{ID: 1, Seq: 1, Epoch: 1, Members: array.Both, Opener: array.SideA, Rule: arb.Majority, Incarnation: 1}
	chosen := armed
	chosen.Rule, chosen.Incarnation = arb.ChosenA, 0
	alone := armed
	alone.Rule, alone.Incarnation, alone.Members = arb.Sole, 0, array.OnlyA
	all := []world{lateAsk(c, armed), asking(c, armed), rivals(c, armed)}
	for _, r := range []arb.Record{armed, chosen, alone} {
		all = append(all, paired(c, r))
	}
	// The group names the side that does not own it; only one of the arrays has heard so.
	for _, p := range [][2]array.Members{{array.OnlyB, array.OnlyB}, {array.OnlyB, 0}, {0, array.OnlyB}} {
		for _, r := range []arb.Record{armed, chosen} {
			all = append(all, preferring(c, r, p))
		}
	}
	return all
}

// lateAsk is an armed pair with an old request for a vote still under way, for the
// successor of a record that has been replaced.
func lateAsk(c *bounds, armed arb.Record) world {
	armed.ID, armed.Base, armed.Seq = 3, 1, 2
	w := paired(c, armed)
	w.next[1] = 3
	stale := armed
	stale.ID, stale.Rule, stale.Incarnation, stale.Members, stale.Epoch = 5, arb.Sole, 0, array.OnlyA, 2
	w.s[0].out.ask, w.s[0].out.hasAsk = arb.Ask{Base: 1, Ballot: 2, Record: stale}, true
	w.s[0].nonce, w.s[1].nonce = 3, 3
	return w
}

// asking is an armed pair that lost the witness: A's request for a vote is under way.
func asking(c *bounds, armed arb.Record) world {
	w := paired(c, armed)
	for _, i := range []array.Side{1, 0} {
		w.run(i, (*arb.Machine).WitnessLost)
	}
	st := w.s[1].m.State()
	w.run(0, func(m *arb.Machine, n uint64, o *arb.Output) { m.PeerState(n, st, o) })
	return w
}

// rivals is what asking can become: B reached the witness again, found A silent, and
// has its own proposal on the way there.
func rivals(c *bounds, armed arb.Record) world {
	w := asking(c, armed)
	v := arb.WitnessView{Incarnation: w.wInc, Version: w.wVer, Register: w.wReg}
	w.run(1, func(m *arb.Machine, n uint64, o *arb.Output) { m.WitnessSeen(n, v, o) })
	w.run(1, (*arb.Machine).PeerSilent)
	w.s[1].granted = noLease
	w.run(1, (*arb.Machine).GrantEnded)
	w.run(1, (*arb.Machine).HeadStartOver)
	return w
}

// paired is a world in which both have compared r and seen the witness.
func paired(c *bounds, r arb.Record) world { return preferring(c, r, [2]array.Members{}) }

// preferring is such a world in which the arrays take these sides for preferred.
func preferring(c *bounds, r arb.Record, prefer [2]array.Members) world {
	w := world{prefer: prefer, wInc: 1, wVer: 1, wReg: arb.Register{Base: r}, oldVer: 1, oldReg: arb.Register{Base: r}}
	w.left = budget{crashes: 2, silences: 3, restarts: 1, restores: 1, forces: 1, writes: 2, changes: 3, losses: 2}
	for i := range array.Side(2) {
		w.s[i].up = true
		w.s[i].disk = arb.Stored{Current: r}
		w.s[i].m = arb.New(c.config(i, prefer[i]), w.s[i].disk)
	}
	for i := range array.Side(2) {
		st := w.s[i.Other()].m.State()
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.PeerState(n, st, o) })
		v := arb.WitnessView{Incarnation: 1, Version: 1, Register: w.wReg}
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.WitnessSeen(n, v, o) })
		w.s[i].out = slots{}
	}
	if r.Members == array.Both {
		for i := range w.s {
			w.s[i].granted, w.s[i].reconciled = held, true
		}
	}
	return w
}
