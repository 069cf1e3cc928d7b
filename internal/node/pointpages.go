// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/volume"
)

// The CPGs of a group's volumes as its points need them.

// of returns the CPG that has a volume or snapshot.
func (p *pages) of(v array.VolumeID) (*volume.Pool, error) {
	for _, x := range p.pools() {
		if x.Volume(v) != nil {
			return x, nil
		}
	}
	return nil, array.Errorf(array.NotFound, "volume or snapshot %v is not here", v)
}

func (p *pages) Differ(older, newer array.VolumeID, from int64, fn func(page int64) bool) error {
	x, err := p.of(older)
	if err != nil {
		return err
	}
	return x.Differ(older, newer, from, fn)
}

func (p *pages) ChangedAt(snap array.VolumeID, at array.Place, from int64, fn func(page int64, birth array.Place) bool) error {
	x, err := p.of(snap)
	if err != nil {
		return err
	}
	return x.ChangedAt(snap, at, from, fn)
}

func (p *pages) PageAt(snap array.VolumeID, page int64, dst []byte) (array.Place, error) {
	x, err := p.of(snap)
	if err != nil {
		return 0, err
	}
	return x.PageAt(snap, page, dst)
}

func (p *pages) Drop(g array.GroupID, snaps ...array.VolumeID) error {
	return p.all(func(x *volume.Pool) error { return x.Drop(g, snaps...) })
}

func (p *pages) Short() bool { return slices.ContainsFunc(p.pools(), (*volume.Pool).Short) }

func (p *pages) FlushResync(g array.GroupID) error {
	return p.all(func(x *volume.Pool) error { return x.FlushResync(g) })
}

func (p *pages) BirthPut(v array.VolumeID, page int64) (array.Place, error) {
	x, err := p.of(v)
	if err != nil {
		return 0, err
	}
	return x.BirthPut(v, page)
}

func (p *pages) Forsake(g array.GroupID, after array.Place) error {
	return p.all(func(x *volume.Pool) error { return x.Forsake(g, after) })
}

// removePoints removes a periodic group's own snapshots of a volume, one that is still to be
// made too.
func removePoints(p *volume.Pool, v array.VolumeID) error {
	d := p.Volume(v)
	if d == nil || d.SnapshotCount() == 0 {
		return nil
	}
	return p.Drop(d.Spec().Group, array.PointID(v, 0), array.PointID(v, 1))
}
