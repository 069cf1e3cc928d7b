// SPDX-License-Identifier: Apache-2.0

package group

import "encoding/binary"

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
		if g.change = change; g.contact {
			g.tellDescribed()
		}
	})
}

func (g *Group) tellDescribed() {
	if g.change != 0 {
		p := Packet{Type: PacketDescribed, Epoch: g.view.Epoch}
		binary.BigEndian.PutUint64(p.Tag[:8], g.change)
		g.sends = append(g.sends, p)
	}
}
