// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A group is dropped in two steps. One transaction takes it out of all tables and notes
// what is to be removed; then volumes, places and journal go, one by one. What a crash
// leaves of the second step is done before anything else of that group: half of its
// state, taken for all of it, would pass for a copy.

// remains is what a dropped group left.
type remains struct {
	Group array.GroupID `json:"group"`
	VVs   []VV          `json:"vvs"`
	// Private: it was no other array's. A shared group's record stays, for what was
	// promised by it binds this array if the group comes back.
	Private bool `json:"private,omitempty"`
}

// dropGroup removes a group and its volumes' copies from this array.
func (n *Node) dropGroup(id array.GroupID) error {
	d, err := n.describe(id)
	if err != nil {
		return nil // it is gone already
	}
	if err := n.unneeded(d.VVs); err != nil {
		return err
	}
	n.closeGroup(id)
	if err := n.exports.renew(id); err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error { return strike(t, d) }); err != nil {
		return err
	}
	if err := n.finishDrop(id); err != nil {
		return err
	}
	return n.exports.renew(id)
}

// factDropped is the newest description of a group that the other array had dropped here. It stays, like
// the record.
const factDropped = "dropped"

// dropTold drops this array's half of a group because the other array says so. Requests may be carried
// out late, after the other array gave up waiting and decided anew: a description that is newer than
// the one that it meant stays, and one that is not is not taken up again.
func (n *Node) dropTold(id array.GroupID, of *edition) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	d, err := n.describe(id)
	known := err == nil
	if known && of != nil && d.Group.edition().after(*of) {
		return array.Errorf(array.Conflict, "group %s is not dropped on array %s: it was told of anew since that was asked", d.Group.Name, n.cfg.Name)
	}
	if known && d.Group.Private {
		return array.Errorf(array.Conflict, "volume %s is on array %s alone: what the other array had of it is no more", d.Group.Name, n.cfg.Name)
	}
	n.mu.RLock()
	_, out := n.unopened[id]
	n.mu.RUnlock()
	r := n.running(id)
	if known && r == nil && !out {
		return array.Errorf(array.Busy, "group %s is being opened on array %s: try again", d.Group.Name, n.cfg.Name)
	}
	if known && r != nil {
		if i, err := r.g.Info(); err == nil && i.Serving {
			return array.Errorf(array.Conflict, "group %s is not dropped on array %s, which serves it", d.Group.Name, n.cfg.Name)
		}
	}
	if of != nil {
		b, err := json.Marshal(of)
		if err != nil {
			return err
		}
		if err := (keep{n.store}).Put(id, factDropped, b); err != nil {
			return err
		}
	}
	return n.dropGroup(id)
}

// undropped refuses a description of a group that is not here, if that is one with which the group was
// dropped.
func (n *Node) undropped(d Description) error {
	b, err := (keep{n.store}).Get(d.Group.ID, factDropped)
	if err != nil || b == nil {
		return err
	}
	var of edition
	if err := json.Unmarshal(b, &of); err != nil {
		return fmt.Errorf("read which description of group %s was dropped: %w", d.Group.Name, err)
	}
	if !d.Group.edition().after(of) {
		return array.Errorf(array.Conflict, "group %s was dropped on array %s since it was so described", d.Group.Name, n.cfg.Name)
	}
	return nil
}

// mayDrop says what keeps this array from dropping its half of a group.
func (n *Node) mayDrop(id array.GroupID) error {
	d, err := n.describe(id)
	if err != nil {
		return nil // it has none
	}
	for _, v := range d.volumes() {
		if err := n.unleft(v); err != nil {
			return err
		}
	}
	return n.unneeded(d.VVs)
}

// strike takes a group out of all tables, and notes what it left.
func strike(t *store.Tx, d Description) error {
	for _, v := range d.VLUNs {
		if err := tables.vluns.Delete(t, vlunKey(v)); err != nil {
			return err
		}
	}
	for _, v := range d.VVs {
		if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
			return err
		}
	}
	for _, s := range d.Schedules {
		if err := tables.scheds.Delete(t, s.Name); err != nil {
			return err
		}
	}
	id := d.Group.ID
	if err := tables.remains.Put(t, store.Key(uint64(id)), remains{id, d.VVs, d.Group.Private}); err != nil {
		return err
	}
	return tables.groups.Delete(t, store.Key(uint64(id)))
}

// finishDrop removes what a dropped group left, if it left something.
func (n *Node) finishDrop(id array.GroupID) error {
	var r remains
	var left bool
	err := n.store.View(func(t *store.Tx) (err error) {
		r, left, err = tables.remains.Get(t, store.Key(uint64(id)))
		return err
	})
	if err != nil || !left {
		return err
	}
	facts := []string{"segments", "doubted", "points", "turn", "shadow", unheardFact}
	if r.Private {
		facts = append(facts, "membership")
	}
	slices.SortStableFunc(r.VVs, snapshotsFirst)
	for _, v := range r.VVs {
		if p := n.cpgs[v.CPG]; p != nil {
			if err := n.removeFrom(p, v.ID); err != nil {
				return err
			}
		}
		facts = append(facts, "reservations/"+v.ID.String())
	}
	for _, p := range n.cpgs {
		if err := p.Forget(id); err != nil {
			return err
		}
	}
	// It has nothing of a group that was never opened, or that a crash came after.
	if err := n.jnl.Forget(id); err != nil && array.KindOf(err) != array.NotFound {
		return err
	}
	return n.store.Update(func(t *store.Tx) error {
		for _, name := range facts {
			if err := tables.facts.Delete(t, factKey(id, name)); err != nil {
				return err
			}
		}
		return tables.remains.Delete(t, store.Key(uint64(id)))
	})
}

// finishDrops does so for all that a crash left.
func (n *Node) finishDrops() error {
	var ids []array.GroupID
	err := n.store.View(func(t *store.Tx) error {
		return tables.remains.Each(t, func(_ string, r remains) error {
			ids = append(ids, r.Group)
			return nil
		})
	})
	for _, id := range ids {
		if e := n.finishDrop(id); e != nil {
			err = errors.Join(err, fmt.Errorf("remove what is left of group %v: %w", id, e))
		}
	}
	return err
}
