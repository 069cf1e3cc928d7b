// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// The points of far copies are snapshots like those of people: made by one entry of the group's
// order, known by its description, and so on every array that may serve the group. They are
// named by themselves, and no command takes them.

// pointName is that of a volume's snapshot of a point.
func (n *Node) pointName(system array.SystemID, tag uint64, v array.VolumeID) string {
	return fmt.Sprintf("rcpy.%d.%08x.%d", system, uint32(tag>>32), n.VolumeNumber(v))
}

// pointOf are a point's snapshots in a description, by the volumes that they are of.
func (d Description) pointOf(p *FarPoint) map[array.VolumeID]VV {
	all := map[array.VolumeID]VV{}
	for _, v := range d.VVs {
		if p != nil && v.Point == p.Tag {
			all[v.Of] = v
		}
	}
	return all
}

// takePoint makes a point of a group: it is Pending in the relation to an array from then on.
// The command lock is held.
func (n *Node) takePoint(ctx context.Context, r *running, to array.SystemID) error {
	var snaps []group.Snapshot
	var made []VV
	p := FarPoint{Tag: nonce(), At: n.now().UTC()}
	err := n.changeDescription(ctx, r.rec.ID, func(t *store.Tx) error {
		made, snaps = nil, nil
		g, k, err := farIn(t, r.rec.ID, to)
		if err != nil {
			return err
		}
		var vvs []VV
		if err := tables.vvs.With(t, byGroup, store.Key(uint64(g.ID)), func(_ string, v VV) error {
			if v.Of == 0 && v.Joins == nil { // what is being filled is nobody's yet
				vvs = append(vvs, v)
			}
			return nil
		}); err != nil {
			return err
		}
		for _, v := range vvs {
			if !g.Far[k].Copy && (v.Taking != 0 || v.Copy.partial()) {
				return array.Errorf(array.Conflict, "volume %s is being made what a snapshot or another volume is, and is neither meanwhile", v.Name)
			}
		}
		if len(vvs) == 0 || len(vvs) > group.MaxSnapshots {
			return array.Errorf(array.Conflict, "group %s has %d volumes: a point is of 1 to %d", g.Name, len(vvs), group.MaxSnapshots)
		}
		for _, v := range vvs {
			id, err := n.nextID(t)
			if err != nil {
				return err
			}
			s := VV{
				ID: array.MakeVolumeID(n.cfg.SystemID, id), Name: n.pointName(g.Far[k].Systems[0], p.Tag, v.ID), Size: v.Size, CPG: v.CPG, Group: g.ID,
				Of: v.ID, Point: p.Tag, Made: p.At,
			}
			if err := tables.vvs.Put(t, store.Key(uint64(s.ID)), s); err != nil {
				return err
			}
			made, snaps = append(made, s), append(snaps, group.Snapshot{Of: v.ID, ID: s.ID})
		}
		return groupsPut(t, g.withFar(k, func(f *Far) { f.Pending = &p }))
	}, keepAsItWas)
	if err != nil {
		return err
	}
	if err = whileServed(func() error { return r.g.MakeSnapshots(snaps) }); err == nil {
		err = r.pages.Flush(r.rec.ID)
	}
	for _, v := range made {
		if err == nil && !n.onPages(v.ID) { // it has as many as it may have
			err = array.Errorf(array.Full, "snapshot %s of a volume could not be made: it has too many", v.Name)
		}
	}
	if err != nil {
		if e := n.forgetPoint(ctx, r, to, made); e != nil {
			n.log.Warn("forget a point that could not be made", "group", r.rec.Name, "err", e)
		}
	}
	return err
}

// farIn returns a group and its relation to an array.
func farIn(t *store.Tx, id array.GroupID, to array.SystemID) (g RCGroup, k int, err error) {
	if g, _, err = tables.groups.Get(t, store.Key(uint64(id))); err != nil {
		return g, 0, err
	}
	if k = g.farWith(to); k < 0 {
		return g, 0, array.Errorf(array.Conflict, "group %s has lost the target meanwhile", g.Name).Because(array.NoTarget)
	}
	return g, k, nil
}

// forgetPoint removes snapshots of points. None is pending then; how old the copy is stays known.
func (n *Node) forgetPoint(ctx context.Context, r *running, to array.SystemID, snaps []VV) error {
	return n.changeDescription(ctx, r.rec.ID, func(t *store.Tx) error {
		if _, err := n.strikePoint(t, r.rec.ID, snaps); err != nil {
			return err
		}
		g, k, err := farIn(t, r.rec.ID, to)
		if err != nil {
			return err
		}
		return groupsPut(t, g.withFar(k, func(f *Far) { f.Pending = nil }))
	}, keepAsItWas)
}

// strikePoint takes snapshots off the list of a group's volumes, and returns the group.
func (n *Node) strikePoint(t *store.Tx, id array.GroupID, snaps []VV) (g RCGroup, err error) {
	if g, _, err = tables.groups.Get(t, store.Key(uint64(id))); err != nil {
		return g, err
	}
	for _, v := range snaps {
		if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
			return g, err
		}
		g = g.without(v)
	}
	return g, groupsPut(t, g)
}

// pointDone: the copy stands at the pending point. What the one before held is given back.
func (n *Node) pointDone(ctx context.Context, id array.GroupID, to array.SystemID, tag uint64) error {
	return n.changeDescription(ctx, id, func(t *store.Tx) error {
		g, k, err := farIn(t, id, to)
		if err != nil || g.Far[k].Copy || g.Far[k].Pending.tag() != tag {
			return err
		}
		var old []VV
		if err := tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error {
			if d := g.Far[k].Done; d != nil && v.Point == d.Tag {
				old = append(old, v)
			}
			return nil
		}); err != nil {
			return err
		}
		if g, err = n.strikePoint(t, id, old); err != nil {
			return err
		}
		return groupsPut(t, g.withFar(k, func(f *Far) { f.Done, f.Pending = f.Pending, nil }))
	}, keepAsItWas)
}

// keepAsItWas is the undoing of a change that concerns a group's description only.
func keepAsItWas(*store.Tx) error { return nil }

// byID orders volumes as points do.
func byID(a, b VV) int { return cmp.Compare(a.ID, b.ID) }

// volumesOf are the volumes of a point, in order, with their snapshots.
func (d Description) volumesOf(p *FarPoint) (vvs []VV, snaps map[array.VolumeID]VV) {
	snaps = d.pointOf(p)
	for _, v := range d.volumes() {
		if _, ok := snaps[v.ID]; ok {
			vvs = append(vvs, v)
		}
	}
	slices.SortFunc(vvs, byID)
	return vvs, snaps
}
