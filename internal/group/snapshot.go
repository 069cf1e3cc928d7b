// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
)

// Snapshot names a snapshot to be made of a volume of the group.
type Snapshot struct {
	Of array.VolumeID `json:"of"`
	ID array.VolumeID `json:"id"`
}

// MaxSnapshots is how many snapshots one entry may make.
const MaxSnapshots = 1024

// MakeSnapshots makes snapshots of volumes at one place of the group's order, and so of
// the same moment, on every array that follows it. It returns when the entry is applied
// here. After array.Unknown the snapshots may still be made.
func (g *Group) MakeSnapshots(snaps []Snapshot) error {
	if len(snaps) == 0 || len(snaps) > MaxSnapshots {
		return array.Errorf(array.Invalid, "%d snapshots at a time: want 1 to %d", len(snaps), MaxSnapshots)
	}
	return g.log(note{Type: noteSnapshot, Snapshots: snaps}, func() error {
		of := map[array.VolumeID]bool{}
		for _, s := range snaps {
			u := g.units[s.Of]
			if u == nil {
				return array.Errorf(array.NotFound, "volume %v is not in %s", s.Of, g.what())
			}
			if g.unheard(u) {
				return array.Errorf(array.Busy, "%s: the other array has not heard of volume %s yet: try again", g.what(), u.id.Name)
			}
			if of[s.Of] {
				return array.Errorf(array.Invalid, "two snapshots of volume %v at one moment", s.Of)
			}
			of[s.Of] = true
		}
		return nil
	})
}

// applySnapshots freezes the volumes. One that can't be frozen here, because its pages
// are being copied or it has too many snapshots, has this snapshot on the other array
// only; what it shows to hosts is as right as ever.
func (g *Group) applySnapshots(r journal.Record, snaps []Snapshot) {
	for _, s := range snaps {
		u := g.units[s.Of]
		if u == nil {
			continue
		}
		if err := u.disk.Freeze(r.Pos.Place, s.ID); err != nil {
			g.event(fmt.Sprintf("a snapshot of volume %s is not made on this array: %v", u.id.Name, err))
		}
	}
}
