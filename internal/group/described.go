// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// Which volumes a group has, and what hosts see of them, is its description. An array
// that was away may lack its last changes. It takes no pages, and is not taken back,
// before it has the same as the array that serves: a copy without a volume would pass
// for whole.

// Described says which description this array has now; change is equal on two arrays
// exactly if theirs is. Call it when the group is as described.
func (g *Group) Described(change uint64) error {
	if !g.started {
		g.change = change
		return nil
	}
	return g.ask(func() {
		g.change = change
		for _, u := range g.units {
			u.described = true
		}
		g.learnKnown()
		if g.contact {
			g.tellDescribed()
		}
	})
}

// alike reports whether the other array is known to have the description that is here.
func (g *Group) alike() bool { return g.contact && g.theirChange == g.change }

// learnKnown notes which units the other array knows of.
func (g *Group) learnKnown() {
	if !g.alike() {
		return
	}
	for _, u := range g.units {
		u.known = u.known || u.described
	}
}

// unheard reports whether the other array may not know of a unit although it is a member. It
// could store a write to it, and neither show it nor what comes after it, were it to go on
// alone: nothing that changes the unit is accepted until it knows.
func (g *Group) unheard(u *Unit) bool { return !u.known && g.view.Role == arb.Paired }

func (g *Group) tellDescribed() {
	if g.change != 0 {
		p := Packet{Type: PacketDescribed, Epoch: g.view.Epoch}
		binary.BigEndian.PutUint64(p.Tag[:8], g.change)
		g.sends = append(g.sends, p)
	}
}
