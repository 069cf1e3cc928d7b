// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/reservation"
)

// Adopt gives a volume, which no host has seen yet, the reservations of the one whose place
// it takes. From this entry on Adopted holds, on every array that follows the order; before
// it, or where it was cut off, it does not. So it decides, with the votes that any write has,
// which of two volumes is the one that hosts write to. It returns when the entry is applied
// here. After array.Unknown it may still be; after any other error it never is.
//
// It is refused while the other array, a member, has another description of the group: going
// on alone it has to know what the volume becomes.
func (g *Group) Adopt(id array.VolumeID, from *reservation.State) error {
	next := *from
	next.Revision = max(next.Revision, 1)
	state, err := next.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encode reservations: %w", err)
	}
	return g.log(note{Type: noteReservation, Volume: id, State: state}, func() error {
		u := g.units[id]
		switch {
		case u == nil || u.id.ReadOnly:
			return array.Errorf(array.NotFound, "volume %v is not in group %s", id, g.cfg.Name)
		case g.cfg.Peer != nil && u.Adopted() || u.reserving:
			return array.Errorf(array.Conflict, "volume %s of group %s has reservations of its own", u.id.Name, g.cfg.Name)
		case g.view.Role == arb.Paired && g.theirChange != g.change:
			return array.Errorf(array.Busy, "group %s: the other array has not taken what the group is now", g.cfg.Name)
		}
		return nil
	})
}

// Adopted reports whether the entry by Adopt, or of any change of reservations, was applied.
func (u *Unit) Adopted() bool { return u.state.Load().Revision > 0 }

// Settled reports whether all that had a place when it was called has ended: what is not
// applied then never is. ok is false if the group is not served here.
func (g *Group) Settled(upTo array.Place) (settled, ok bool, err error) {
	err = g.ask(func() { settled, ok = g.applied >= upTo, g.state() == gateServe })
	return settled, ok, err
}
