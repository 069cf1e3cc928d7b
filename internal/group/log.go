// SPDX-License-Identifier: Apache-2.0

package group

import (
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/scsi"
)

// logWithin is how long an entry that a command asks for may take to be committed.
const logWithin = 5 * time.Second

// log gives an entry its place in the group's order, if check has nothing against it,
// and returns when it is applied here. After array.Unknown it may still be.
func (g *Group) log(n note, check func() error) error {
	result := make(chan error, 1)
	if !g.post(func() { g.placeNote(n, check, func(err error) { result <- err }) }) {
		return array.Errorf(array.Busy, "%s is closing", g.what())
	}
	select {
	case err := <-result:
		return err
	case <-time.After(logWithin):
		return array.Errorf(array.Unknown, "%s: the change is still under way: the other array's journal does not answer", g.what())
	}
}

func (g *Group) placeNote(n note, check func() error, done func(error)) {
	if err := check(); err != nil {
		done(err)
		return
	}
	if g.state() != gateServe {
		done(array.Errorf(array.Busy, "%s is not served here at this moment: try again", g.what()))
		return
	}
	body := encodeNote(n)
	need := journal.Cost(len(body))
	if !g.cfg.Space.Reserve(need) {
		done(array.Errorf(array.Full, "%s: the journal has no room for the entry", g.what()))
		return
	}
	pos, err := g.core.Place()
	if err != nil {
		g.cfg.Space.Unreserve(need)
		done(array.Errorf(array.Busy, "%s is changing hands: try again", g.what()))
		return
	}
	e := &entry{pos: pos, rec: journal.Record{Group: g.cfg.ID, Pos: pos, Kind: journal.Entry, Payload: body}}
	e.then = func() {
		if g.ending && g.applied < pos.Place {
			done(array.Errorf(array.Unknown, "%s is closing: whether the change was made shows when it is open again", g.what()))
			return
		}
		if g.applied < pos.Place {
			done(array.Errorf(array.Busy, "%s changed hands: the change was not made", g.what()))
			return
		}
		done(nil)
	}
	g.add(e, g.cfg.Self)
}

// Grow makes a volume larger at one place of the group's order: whatever is written
// beyond its old end follows on every array.
func (g *Group) Grow(id array.VolumeID, size int64) error {
	return g.log(note{Type: noteSize, Volume: id, Size: size}, func() error {
		u := g.units[id]
		if u == nil || u.id.ReadOnly {
			return array.Errorf(array.NotFound, "volume %v is not in %s", id, g.what())
		}
		return u.disk.MayGrow(size)
	})
}

// applySize makes a volume larger, and lets hosts know.
func (g *Group) applySize(id array.VolumeID, size int64) error {
	u := g.units[id]
	if u == nil {
		return nil // it was admitted while this array was away: its description has the size
	}
	if err := u.disk.Grow(size); err != nil {
		return err
	}
	u.tell(scsi.Notice{Kind: scsi.CapacityChanged})
	return nil
}
