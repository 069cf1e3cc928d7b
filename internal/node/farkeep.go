// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/store"
)

// How a copy comes to stand at a point.

// Keep implements far.Volumes.
func (c *farCopy) Keep(ctx context.Context, q far.Request) error {
	c.n.command.Lock()
	defer c.n.command.Unlock()
	r, _, k, err := c.following()
	if err != nil {
		return err
	}
	d, err := c.n.describe(r.rec.ID)
	if err != nil {
		return err
	}
	var old []VV
	for _, v := range d.VVs {
		if v.Point != 0 {
			old = append(old, v)
		}
	}
	if err := c.n.takePoint(ctx, r, d.Group.Far[k].Systems[0]); err != nil {
		return err
	}
	return c.n.changeDescription(ctx, r.rec.ID, func(t *store.Tx) error { return c.keepPoint(t, r.rec.ID, k, q, old) }, keepAsItWas)
}

// keepPoint makes the snapshots that were just made those of the point of q.
func (c *farCopy) keepPoint(t *store.Tx, id array.GroupID, k int, q far.Request, old []VV) error {
	g, err := c.n.strikePoint(t, id, old)
	if err != nil {
		return err
	}
	if g, err = c.n.strikeUnasked(t, g, k, q); err != nil {
		return err
	}
	made := g.Far[k].Pending.tag()
	taken := map[array.VolumeID]array.VolumeID{}
	var snaps, vvs []VV
	if err := tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error {
		switch {
		case v.Of == 0:
			vvs = append(vvs, v)
		case v.Point == made:
			snaps, taken[v.Of] = append(snaps, v), v.ID
		}
		return nil
	}); err != nil {
		return err
	}
	at := time.Unix(0, q.Time).UTC()
	for _, v := range snaps {
		v.Point, v.Made = q.Tag, at
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	for _, v := range vvs {
		if v.Taking = taken[v.ID]; v.Taking == 0 {
			return array.Errorf(array.Internal, "volume %s has no snapshot of the point", v.Name)
		}
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	return groupsPut(t, g.withFar(k, func(f *Far) { f.Done, f.Pending = &FarPoint{q.Tag, at}, nil }))
}

// strikeUnasked takes the copies of volumes that the point does not have off the list, with
// their snapshots.
func (n *Node) strikeUnasked(t *store.Tx, g RCGroup, k int, q far.Request) (RCGroup, error) {
	var gone []VV
	of, names := maps.Clone(g.Far[k].Of), maps.Clone(g.Far[k].Names)
	if err := tables.vvs.With(t, byGroup, store.Key(uint64(g.ID)), func(_ string, v VV) error {
		own := v.ID
		if v.Of != 0 {
			own = v.Of
		}
		if !slices.ContainsFunc(q.Volumes, func(x far.Volume) bool { return x.ID == g.Far[k].Of[own] }) {
			gone = append(gone, v)
			delete(of, own)
			delete(names, own)
		}
		return nil
	}); err != nil || len(gone) == 0 {
		return g, err
	}
	g, err := n.strikePoint(t, g.ID, gone)
	if err != nil {
		return g, err
	}
	g = g.withFar(k, func(f *Far) { f.Of, f.Names = of, names })
	return g, groupsPut(t, g)
}
