// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
)

// A periodic group has one member: the array that serves it, the source. The other array
// has the group as it was at a point, a moment that is one for all volumes, and goes from
// point to point. A point is an entry of the source's order, at which it makes a snapshot
// of every volume; what differs between two points is sent from the newer one's snapshots,
// while hosts write on.

// Points keeps the snapshots that points are made of. *volume.Pool is one.
type Points interface {
	// Differ calls fn for the pages that may differ between two snapshots of a volume.
	Differ(older, newer array.VolumeID, from int64, fn func(page int64) bool) error
	// ChangedAt calls fn for the pages of a snapshot born after p; birth 0 says nothing.
	ChangedAt(snap array.VolumeID, p array.Place, from int64, fn func(page int64, birth array.Place) bool) error
	PageAt(snap array.VolumeID, page int64, dst []byte) (array.Place, error)
	// Drop removes snapshots of a group, those that there are.
	Drop(g array.GroupID, snaps ...array.VolumeID) error
	// Short says that room is short: points give way to hosts.
	Short() bool
}

// point is one moment, at its source.
type point struct {
	Place array.Place `json:"place"`
	// Time is the time of day at the source, in nanoseconds; Tag names the point among all.
	Time int64  `json:"time"`
	Tag  uint64 `json:"tag"`
	// Slot says which of a volume's two snapshots it has.
	Slot     int              `json:"slot"`
	Volumes  []array.VolumeID `json:"volumes"`
	Segments []byte           `json:"segments"`
	// States are the reservations at that moment.
	States map[array.VolumeID][]byte `json:"states,omitempty"`
}

// points is what a source keeps of them, durably: the newest that the other array has, and
// the one that is on its way.
type points struct {
	Done    *point `json:"done,omitempty"`
	Pending *point `json:"pending,omitempty"`
}

// pointMark is a point in its entry.
type pointMark struct {
	Owner array.Side `json:"owner"`
	Time  int64      `json:"time"`
	Tag   uint64     `json:"tag"`
	Slot  int        `json:"slot"`
}

const (
	factPoints = "points"
	factTurn   = "turn"
	factShadow = "shadow"
)

func (g *Group) keepFact(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := g.cfg.Keep.Put(g.cfg.ID, name, b); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

func (g *Group) fact(name string, v any) error {
	b, err := g.cfg.Keep.Get(g.cfg.ID, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if b == nil {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// clock is the time of day.
func (g *Group) clock() time.Time {
	if g.cfg.Clock != nil {
		return g.cfg.Clock()
	}
	return time.Now()
}

// slotFor is a slot that no point has that is still needed.
func (p points) slotFor() int {
	if p.Done != nil && p.Done.Slot == 0 {
		return 1
	}
	return 0
}

// last is the newest place of a point that was taken.
func (p points) last() (at array.Place) {
	for _, x := range []*point{p.Done, p.Pending} {
		if x != nil {
			at = max(at, x.Place)
		}
	}
	return at
}

// snaps are a point's snapshots.
func (p *point) snaps() []array.VolumeID {
	if p == nil {
		return nil
	}
	var all []array.VolumeID
	for _, v := range p.Volumes {
		all = append(all, array.PointID(v, p.Slot))
	}
	return all
}

// when is a point's time, none of no point.
func (p *point) when() time.Time {
	if p == nil {
		return time.Time{}
	}
	return time.Unix(0, p.Time)
}

// applyPoint makes the snapshots of a point where it is the source's, and notes it: it is
// the one to send from now on. Applied again after a restart it changes nothing.
func (g *Group) applyPoint(r journal.Record, n note) error {
	if n.Point == nil || n.Point.Owner != g.cfg.Self || g.cfg.Points == nil {
		return nil // the other array was the source
	}
	g.applySnapshots(r, n.Snapshots)
	kept := &g.period.kept
	if kept.last() >= r.Pos.Place {
		return nil
	}
	p := &point{
		Place: r.Pos.Place, Time: n.Point.Time, Tag: n.Point.Tag, Slot: n.Point.Slot, States: map[array.VolumeID][]byte{},
		Segments: encodeSegments(replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), r.Pos.Place)),
	}
	for _, s := range n.Snapshots {
		u := g.units[s.Of]
		if u == nil {
			continue
		}
		p.Volumes = append(p.Volumes, s.Of)
		b, err := u.state.Load().MarshalBinary()
		if err != nil {
			return fmt.Errorf("encode reservations of %s: %w", u.id.Name, err)
		}
		p.States[s.Of] = b
	}
	kept.Pending = p
	return g.keepFact(factPoints, kept)
}
