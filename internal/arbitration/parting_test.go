// SPDX-License-Identifier: Apache-2.0

package arbitration_test

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// TestPartingWaitsForTheRight: an owner that is to go on alone, while the other array alone may
// decide, asks it for no vote, which it would be refused for ever; once it has the right it decides.
func TestPartingWaitsForTheRight(t *testing.T) {
	both := arb.Record{ID: 1, Seq: 1, Epoch: 1, Members: array.Both, Opener: array.SideB, Rule: arb.Chosen(array.SideA)}
	b := arb.New(arb.Config{Self: array.SideB, AutoFailover: true}, arb.Stored{Current: both})
	var out arb.Output
	b.PeerState(11, arb.PeerState{Current: both, Compared: true}, &out)
	b.Owner(12, array.SideB, &out)
	out = arb.Output{}
	b.Part(13, &out)
	if len(out.Messages) > 0 || out.Persist || b.View().Role != arb.Paired || b.View().Sealed {
		t.Fatalf("B is %+v and sends %+v; want that it waits", b.View(), out)
	}
	next := both
	next.ID, next.Base, next.Seq, next.Rule = 2, 1, 2, arb.Chosen(array.SideB)
	b.PeerState(14, arb.PeerState{Current: next, Compared: true}, &out)
	b.Part(15, &out)
	if got := b.Stored().Current; got.Members != array.OnlyB {
		t.Errorf("B holds %v; want itself alone", got)
	}
}
