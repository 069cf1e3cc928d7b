// SPDX-License-Identifier: Apache-2.0

package model

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// writeSteps are the life of a write, in the smallest form that can lose one.
var writeSteps = []step{
	{"places a write", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		v := w.view(i)
		if w.left.writes == 0 || !w.canServe(i) || v.Opener != i || s.pending != 0 || s.n == maxLog {
			return false
		}
		w.left.writes--
		s.pending = w.left.writes + 1
		s.out.write = frame{epoch: v.Epoch, place: s.n, write: s.pending}
		return true
	}},
	{"journals its write", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.up || s.pending == 0 {
			return false
		}
		s.log[s.n] = s.pending
		s.n++
		s.pending = 0
		return true
	}},
	{"journals the other's write", func(w *world, i array.Side, _ *bounds) bool {
		s, f := &w.s[i], w.s[i.Other()].out.write
		v := w.view(i)
		if !s.up || f.write == 0 || v.Epoch != f.epoch || v.Role != arb.Paired || f.place != s.n || s.n == maxLog {
			return false
		}
		s.log[s.n] = f.write
		s.n++
		s.out.ack = f
		return true
	}},
}

// acknowledge answers what may be answered: alone, all that is journaled; paired,
// what the other array's acknowledgement of this epoch has come for.
func (w *world) acknowledge() {
	for i := range array.Side(2) {
		s := &w.s[i]
		v := w.view(i)
		if !s.up || s.n == 0 {
			continue
		}
		set := &w.acked
		if v.Lineage != 0 {
			set = &w.ackedF
		}
		f := s.out.write
		switch {
		case v.Role == arb.Alone:
			*set |= w.has(i)
		case v.Role == arb.Paired && f.write != 0 && w.s[i.Other()].out.ack == f && f.epoch == v.Epoch &&
			f.place == s.n-1 && f.write == s.log[s.n-1]:
			*set |= 1 << f.write
		}
	}
}

// witnessSteps are what the witness does with the swaps under way.
var witnessSteps = []step{
	{"swaps at the witness", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.out.hasSwap {
			return false
		}
		x := s.out.swap
		s.out.hasSwap, s.out.swap = false, arb.Swap{}
		if x.Incarnation == w.wInc && x.Version == w.wVer {
			w.wVer++
			w.wReg = x.New
		}
		return true
	}},
	{"swaps at the witness and hears so", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.out.hasSwap || !s.up {
			return false
		}
		x := s.out.swap
		s.out.hasSwap, s.out.swap = false, arb.Swap{}
		if x.Incarnation == w.wInc && x.Version == w.wVer {
			w.wVer++
			w.wReg = x.New
		}
		v := arb.WitnessView{Incarnation: w.wInc, Version: w.wVer, Register: w.wReg}
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.WitnessSeen(n, v, o) })
		return true
	}},
	{"reads the witness", func(w *world, i array.Side, _ *bounds) bool {
		if !w.s[i].up {
			return false
		}
		v := arb.WitnessView{Incarnation: w.wInc, Version: w.wVer, Register: w.wReg}
		w.run(i, func(m *arb.Machine, n uint64, o *arb.Output) { m.WitnessSeen(n, v, o) })
		return true
	}},
	{"loses the witness", func(w *world, i array.Side, _ *bounds) bool {
		if !w.s[i].up || w.left.losses == 0 || w.s[i].m.Inputs().Witness == 0 {
			return false
		}
		w.left.losses--
		w.run(i, (*arb.Machine).WitnessLost)
		return true
	}},
}

// faultSteps are crashes, returns, the witness's restarts, and a person's force.
var faultSteps = []step{
	{"crashes", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.up || w.left.crashes == 0 {
			return false
		}
		w.left.crashes--
		s.up, s.pending, s.reconciled = false, 0, false
		s.m = arb.Machine{}
		if p := &w.s[i.Other()]; p.granted == held {
			p.granted = noLease
		}
		return true
	}},
	{"starts", func(w *world, i array.Side, c *bounds) bool {
		s := &w.s[i]
		if s.up {
			return false
		}
		s.up, s.freshStart = true, true
		s.m = arb.New(c.config(i, w.prefer[i]), s.disk)
		return true
	}},
	{"restarts the witness", func(w *world, i array.Side, _ *bounds) bool {
		if i == 1 || w.left.restarts == 0 {
			return false
		}
		w.left.restarts--
		w.wInc++
		return true
	}},
	{"restores the witness", func(w *world, i array.Side, _ *bounds) bool {
		if i == 1 || w.left.restores == 0 || w.wVer == w.oldVer {
			return false
		}
		w.left.restores--
		w.wInc++
		w.wVer, w.wReg = w.oldVer, w.oldReg
		return true
	}},
	{"is forced by a person", func(w *world, i array.Side, _ *bounds) bool {
		s := &w.s[i]
		if !s.up || w.left.forces == 0 || s.m.Inputs().Contact || w.canServe(i) {
			return false
		}
		w.left.forces--
		w.forced = true
		w.atForce = w.has(i)
		w.run(i, (*arb.Machine).Force)
		return true
	}},
}
