// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

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

// snapshotWithin is how long the entry of a snapshot may take to be committed.
const snapshotWithin = 5 * time.Second

// MakeSnapshots makes snapshots of volumes at one place of the group's order, and so of
// the same moment, on every array that follows it. It returns when the entry is applied
// here. After array.Unknown the snapshots may still be made.
func (g *Group) MakeSnapshots(snaps []Snapshot) error {
	if len(snaps) == 0 || len(snaps) > MaxSnapshots {
		return array.Errorf(array.Invalid, "%d snapshots at a time: want 1 to %d", len(snaps), MaxSnapshots)
	}
	result := make(chan error, 1)
	if !g.post(func() { g.placeSnapshots(snaps, func(err error) { result <- err }) }) {
		return array.Errorf(array.Busy, "group %s is closing", g.cfg.Name)
	}
	select {
	case err := <-result:
		return err
	case <-time.After(snapshotWithin):
		return array.Errorf(array.Unknown, "group %s: the snapshot is still under way: the other array's journal does not answer", g.cfg.Name)
	}
}

func (g *Group) placeSnapshots(snaps []Snapshot, done func(error)) {
	for _, s := range snaps {
		if g.units[s.Of] == nil {
			done(array.Errorf(array.NotFound, "volume %v is not in group %s", s.Of, g.cfg.Name))
			return
		}
	}
	if g.state() != gateServe {
		done(array.Errorf(array.Busy, "group %s is not served here at this moment: try again", g.cfg.Name))
		return
	}
	body := encodeNote(note{Type: noteSnapshot, Snapshots: snaps})
	need := journal.Cost(len(body))
	if !g.cfg.Space.Reserve(need) {
		done(array.Errorf(array.Full, "group %s: the journal has no room for a snapshot's entry", g.cfg.Name))
		return
	}
	pos, err := g.core.Place()
	if err != nil {
		g.cfg.Space.Unreserve(need)
		done(array.Errorf(array.Busy, "group %s is changing hands: try again", g.cfg.Name))
		return
	}
	e := &entry{pos: pos, rec: journal.Record{Group: g.cfg.ID, Pos: pos, Kind: journal.Entry, Payload: body}}
	e.then = func() {
		if g.applied < pos.Place {
			done(array.Errorf(array.Busy, "group %s changed hands: the snapshot was not made", g.cfg.Name))
			return
		}
		done(nil)
	}
	g.add(e, g.cfg.Self)
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
