// SPDX-License-Identifier: Apache-2.0

package array

import (
	"cmp"
	"fmt"
)

// Epoch numbers the memberships of a group under which its order was written.
// It grows with every change of members and never returns to an old value.
type Epoch uint64

// Term numbers the owners within an epoch. It grows with every owner entry and
// does not start again with a new epoch.
type Term uint64

// Place is a record's position in its group's order, from 1, without gaps.
type Place uint64

// Position names a record of a group.
type Position struct {
	Epoch Epoch
	Term  Term
	Place Place
}

// Compare orders positions by epoch, then term, then place.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Term, q.Term), cmp.Compare(p.Place, q.Place))
}

// String returns epoch.term.place.
func (p Position) String() string { return fmt.Sprintf("%d.%d.%d", p.Epoch, p.Term, p.Place) }
