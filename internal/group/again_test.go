// SPDX-License-Identifier: Apache-2.0

package group

import (
	"testing"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/replication"
)

// TestAskingAgainAcknowledgesNothing: an array that asks for a record names the one before,
// which was handed to its journal and need not be durable. If that counted, the other array
// would commit, and tell its host, what one kill of the asking one takes away.
func TestAskingAgainAcknowledgesNothing(t *testing.T) {
	view := replication.View{Mode: replication.Paired, Epoch: 1, Opener: array.SideA}
	logTo := func(p array.Place) []replication.Segment {
		return []replication.Segment{{Epoch: 1, Term: 1, Owner: array.SideA, Last: p}}
	}
	owner := &Group{core: replication.New(array.SideA, logTo(5), 2), view: arb.View{Role: arb.Paired, Epoch: 1}}
	owner.core.SetView(view)
	if _, err := owner.core.Meet(logTo(2), true); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Packet{
		{Held: 5, Length: 0}, // as an older release asks
		{Held: 2, Length: 5},
	} {
		p.Type, p.Offset, p.Epoch = PacketHeld, heldAgain, 1
		owner.contact = true
		owner.receive(p)
		if got := owner.core.Commit(); got != 2 || owner.core.Peer() != 2 {
			t.Errorf("after %+v the owner has committed up to place %d and takes %d as held there, want 2", p, got, owner.core.Peer())
		}
	}

	other := &Group{core: replication.New(array.SideB, logTo(2), 2), view: arb.View{Role: arb.Paired, Epoch: 1}}
	other.core.SetView(view)
	if _, err := other.core.Meet(logTo(5), true); err != nil {
		t.Fatal(err)
	}
	other.core.Receive(1, array.Position{Epoch: 1, Term: 1, Place: 3}, array.SideA, 2) // on its way to the journal
	other.askMissing()
	if p := other.sends[len(other.sends)-1]; p.Held != 2 || p.Length != 3 {
		t.Errorf("the other array asks with %+v, want what is durable, 2, and its end, 3", p)
	}
}
