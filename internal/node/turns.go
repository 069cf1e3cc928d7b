// SPDX-License-Identifier: Apache-2.0

package node

import (
	"sync"

	"github.com/perdure/perdure/internal/array"
)

// Changes of hosts and of users are told one after the other, each until it is answered or given up.
// One that was given up may still be on its way, and must not be carried out after what was told since:
// it would put back what a person has changed again.

// turn is a moment in which an array tells something.
type turn struct {
	// Start is that of the array's process.
	Start array.StartID `json:"start"`
	N     uint64        `json:"n"`
}

// nextTurn returns the next one of this array.
func (n *Node) nextTurn() *turn { return &turn{n.start, n.turns.Add(1)} }

// told is the newest turn that was heard of one kind.
type told struct {
	mu   sync.Mutex
	last turn
}

// take refuses what was told before the newest that was heard. An older release, which says no turn, is
// believed.
func (x *told) take(at *turn) error {
	if at == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if at.Start == x.last.Start && at.N < x.last.N {
		return array.Errorf(array.Busy, "this was told before what came first: it is told again if it is still so")
	}
	x.last = *at
	return nil
}
