// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// TestTheWitnessIsQuicker: an array that learns a newer record of both from the witness, a
// moment before the other array's word comes, waits for that word: nothing has failed, and
// nobody is left out. If the other falls silent, it goes on.
func TestTheWitnessIsQuicker(t *testing.T) {
	old := arb.Record{ID: 1, Seq: 1, Epoch: 1, Members: array.Both, Opener: array.SideA, Rule: arb.Majority, Incarnation: 1}
	next := old
	next.ID, next.Base, next.Seq = 2, 1, 2
	b := arb.New(arb.Config{Self: array.SideB, AutoFailover: true, WitnessStarted: true, Prefer: array.OnlyB}, arb.Stored{Current: old})
	step := func(f func(out *arb.Output)) (out arb.Output) {
		f(&out)
		return out
	}
	step(func(out *arb.Output) { b.PeerState(11, arb.PeerState{Current: old, Witness: 1, Compared: true}, out) })
	if b.View().Role != arb.Paired {
		t.Fatalf("B is %v before anything happens", b.View().Role)
	}
	seen := arb.WitnessView{Incarnation: 1, Version: 2, Register: arb.Register{Base: next}}
	out := step(func(out *arb.Output) { b.WitnessSeen(13, seen, out) })
	if got := b.Stored().Current; got.ID != next.ID || out.Swap != nil && out.Swap.New.Accepted.Ballot != 0 {
		t.Errorf("B holds %v and asks the witness for %+v", got, out.Swap)
	}
	silent := b
	step(func(out *arb.Output) { b.PeerState(15, arb.PeerState{Current: next, Witness: 1, Compared: true}, out) })
	if b.View().Role != arb.Paired {
		t.Errorf("B is %v once the other array's word has come: %v", b.View().Role, b.Reason())
	}
	out = step(func(out *arb.Output) { silent.PeerSilent(17, out) })
	if out.Swap == nil || out.Swap.New.Accepted.Record.Members != array.OnlyB {
		t.Errorf("the other array is silent, and B asks the witness for %+v: %v", out.Swap, silent.Reason())
	}
}
