// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// promoteSV writes back what was written since a snapshot, as any host's writes: in the
// group's order, on both arrays. Until that is done the volume is neither what it was
// nor what it will be, and says so in its description, over restarts too.
func promoteSV(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(1, 1); err != nil {
		return err
	}
	sv, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	if sv.Of == 0 {
		return array.Errorf(array.Invalid, "volume %s is not a read-only snapshot: promotesv takes a snapshot's name, and makes its volume what that is", sv.Name).Because(array.NotSnapshot)
	}
	if n.awaits(sv) {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s", sv.Name, n.cfg.Name)
	}
	r := n.running(g.ID)
	if r == nil || r.units[sv.Of] == nil {
		return array.Errorf(array.Unavailable, "the volume of snapshot %s is not open", sv.Name)
	}
	end, err := n.remaking.begin(remade{g.ID, sv.Of}, "the volume of snapshot "+sv.Name)
	if err != nil {
		return err
	}
	v, err := n.setTaking(ctx, g.ID, sv.Of, sv)
	if err != nil {
		end()
		return err
	}
	w := writer{n, n.cpgs[v.CPG], n.cpgs[v.CPG].Volume(sv.ID), r.units[v.ID]}
	a.waits("promote_sv", v.Name, func(ctx context.Context) error {
		defer end()
		m := progress.NewMeter("promotion of "+sv.Name, a.tell)
		// The other array may promote it anew once it owns the group.
		inner, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		written, err := w.differences(inner, func(off int64) {
			if n.elsewhere(r) {
				stop(array.Errorf(array.Moved, "array %s owns the group now", n.to().Name))
			}
			m.At(off, v.Size, off, "")
		})
		if err != nil && context.Cause(inner) != nil {
			err = context.Cause(inner)
		}
		if err != nil {
			return fmt.Errorf("volume %s is not what snapshot %s is yet, promote it again: %w", v.Name, sv.Name, err)
		}
		n.command.Lock()
		defer n.command.Unlock()
		if _, err := n.setTaking(ctx, g.ID, v.ID, VV{}); err != nil {
			return err
		}
		a.printf("%d pages of volume %s were written back from snapshot %s\n", written, v.Name, sv.Name)
		return nil
	})
	return nil
}

// setTaking makes it durable, on both arrays, that a volume is being made what a
// snapshot is, or with none that it is whole.
func (n *Node) setTaking(ctx context.Context, id array.GroupID, of array.VolumeID, from VV) (v VV, err error) {
	err = n.changeGroup(ctx, id, func(t *store.Tx) error {
		var ok bool
		v, ok, err = tables.vvs.Get(t, store.Key(uint64(of)))
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "the volume of snapshot %s does not exist", from.Name))
		}
		if from.ID != 0 && v.Copy.underWay() {
			return array.Errorf(array.Conflict, "volume %s is being made a copy of %s: see createvvcopy", v.Name, v.Copy.Name).Because(array.Copied)
		}
		if from.ID != 0 && v.Taking != 0 && v.Taking != from.ID {
			return array.Errorf(array.Conflict, "volume %s is being made another snapshot's content: promote that one again", v.Name).Because(array.Copied)
		}
		if from.ID != 0 {
			if err := notExported(t, v); err != nil {
				return err
			}
		}
		if v.Taking = from.ID; from.ID == 0 {
			v.Copy = Copying{} // what was left of a copy is whole again
		}
		return tables.vvs.Put(t, store.Key(uint64(of)), v)
	})
	return v, err
}

func notExported(t *store.Tx, v VV) error {
	return tables.vluns.With(t, byVolume, store.Key(uint64(v.ID)), func(string, VLUN) error {
		return array.Errorf(array.Conflict, "volume %s is exported: remove its VLUNs first", v.Name).Because(array.Exported)
	})
}

// promotionConditions are those of promotions that were interrupted, where they can go on.
func (n *Node) promotionConditions() (all []holding) {
	half := map[array.VolumeID]VV{} // by snapshot
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchTaking, func(_ string, v VV) error {
			if sv, ok, err := tables.vvs.Get(t, store.Key(uint64(v.Taking))); err != nil || !ok || sv.Of != v.ID || sv.Point != 0 || v.Copy.underWay() {
				return err
			}
			half[v.Taking] = v
			return nil
		})
	}); err != nil {
		n.eventOnce("look for promotions that were interrupted: " + err.Error())
	}
	for id, v := range half {
		sv, err := n.vvOf(id)
		if err != nil || n.remaking.has(remade{v.Group, v.ID}) || !n.serves(v.Group) {
			continue
		}
		all = append(all, holding{
			Condition: event.Condition{Kind: kindPledge, Object: "promotesv " + v.Name}, severity: event.Minor, patience: patience,
			text: fmt.Sprintf("volume %s is not what snapshot %s is yet, and can't be exported: promotesv was interrupted, and 'promotesv %s' goes on with it", v.Name, sv.Name, sv.Name),
		})
	}
	return all
}
