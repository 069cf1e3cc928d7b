// SPDX-License-Identifier: Apache-2.0

package model

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// maxLog bounds the writes of a world.
const maxLog = 4

// maxRecords bounds the membership records of a world.
const maxRecords = 40

// lease is the state of what one side granted the other.
type lease uint8

const (
	noLease lease = iota
	held
)

// frame is a write sent to the other array, or its acknowledgement.
type frame struct {
	epoch array.Epoch
	place uint8
	write uint8
}

// slots are the messages from one side that may still be delivered, the newest of
// each sort. They stay deliverable until a newer one takes their place.
type slots struct {
	ask     arb.Ask
	answer  arb.Answer
	swap    arb.Swap
	hasAsk  bool
	hasAns  bool
	hasSwap bool
	write   frame
	ack     frame
}

// side is one array of a world.
type side struct {
	m          arb.Machine
	disk       arb.Stored
	up         bool
	freshStart bool
	granted    lease // to the other side
	reconciled bool
	log        [maxLog]uint8
	n          uint8
	pending    uint8
	out        slots
	nonce      uint64
}

// budget is what may still go wrong or be done.
type budget struct {
	crashes, silences, restarts, restores, forces, writes, changes, losses uint8
}

// world is one state of the search. It is comparable.
type world struct {
	s       [2]side
	wInc    uint64
	wVer    uint64
	wReg    arb.Register
	oldVer  uint64
	oldReg  arb.Register
	left    budget
	acked   uint8 // bit set of writes acknowledged in lineage 0
	ackedF  uint8 // in the forced lineage
	atForce uint8 // what the forced side held when a person forced
	forced  bool
	next    [maxRecords]uint8 // decided successor by record id
	bad     violation
	// prefer is the side that each array takes for the one that the group names.
	prefer [2]array.Members
}

// violation names what must never happen.
type violation uint8

const (
	none violation = iota
	lostWrite
	twoEpochs
	forkedChain
	givenUp
	outOfBounds
)

func (v violation) String() string {
	return [...]string{
		"none", "an acknowledged write is lost", "two sides serve in different epochs",
		"a record has two decided successors", "acknowledged writes were given up without a person's choice", "a bound of the world was exceeded",
	}[v]
}

func (w *world) view(i array.Side) arb.View { return w.s[i].m.View() }

// canServe reports whether side i may answer hosts now.
func (w *world) canServe(i array.Side) bool {
	s := &w.s[i]
	if !s.up {
		return false
	}
	switch w.view(i).Role {
	case arb.Alone:
		return true
	case arb.Paired:
		return w.s[i.Other()].granted == held && s.reconciled
	}
	return false
}

func (w *world) has(i array.Side) (set uint8) {
	for _, x := range w.s[i].log[:w.s[i].n] {
		set |= 1 << x
	}
	return set
}

// check sets bad if the world shows what must never happen.
func (w *world) check() {
	if w.bad != none {
		return
	}
	w.acknowledge()
	serving := [2]bool{w.canServe(0), w.canServe(1)}
	for i := range array.Side(2) {
		v := w.view(i)
		acked := w.acked
		if v.Lineage != 0 {
			acked = w.ackedF
		}
		if serving[i] && acked&^w.has(i) != 0 {
			w.bad = lostWrite
		}
		w.chain(w.s[i].m.Stored().Current)
	}
	a, b := w.view(0), w.view(1)
	if serving[0] && serving[1] && a.Lineage == b.Lineage && a.Epoch != b.Epoch {
		w.bad = twoEpochs
	}
}

// chain notes that r was decided and compares with what else succeeded its base.
func (w *world) chain(r arb.Record) {
	if r.Base == 0 || r.Lineage != 0 || w.bad != none {
		return
	}
	if r.Base >= maxRecords || r.ID >= maxRecords {
		w.bad = outOfBounds
		return
	}
	switch w.next[r.Base] {
	case 0:
		w.next[r.Base] = uint8(r.ID)
		if w.left.changes > 0 {
			w.left.changes--
		}
	case uint8(r.ID):
	default:
		w.bad = forkedChain
	}
}
