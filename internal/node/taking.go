// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// checkDescription says what would keep take from taking d up.
func (n *Node) checkDescription(d Description) error {
	return n.store.View(func(t *store.Tx) error { return n.mayBeStored(t, d) })
}

// mayBeStored says so of a state of the store. A private group is never taken: hosts would see its volume
// here too, as another one with the same identity.
func (n *Node) mayBeStored(t *store.Tx, d Description) error {
	if d.Group.Private {
		return array.Errorf(array.Conflict, "volume %s is another array's alone: array %s does not take it", d.Group.Name, n.cfg.Name)
	}
	if err := n.checkNumbers(t, d); err != nil {
		return err
	}
	for _, v := range d.VVs {
		if n.cpgs[v.CPG] == nil {
			return array.Errorf(array.NotFound, "CPG %s is not configured on array %s", v.CPG, n.cfg.Name).Because(array.NoCPG)
		}
		if o, ok, err := tables.vvs.Get(t, store.Key(uint64(v.ID))); err != nil || ok && o.Size > v.Size {
			return orElse(err, array.Errorf(array.Conflict, "volume %s has %d bytes on array %s and %d on the other: a volume never gets smaller", v.Name, o.Size, n.cfg.Name, v.Size))
		}
		if err := tables.vvs.With(t, byName, v.Name, func(_ string, o VV) error {
			if o.ID != v.ID {
				return array.Errorf(array.Exists, "volume %s exists on array %s and is another one", v.Name, n.cfg.Name).Because(array.VolumeOnTarget)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := n.checkExports(t, d); err != nil {
		return err
	}
	if err := n.checkSchedules(t, d); err != nil {
		return err
	}
	return tables.groups.With(t, byGroupName, d.Group.Name, func(_ string, g RCGroup) error {
		if g.ID != d.Group.ID && g.ID != d.Group.Replaces && !g.Private {
			return array.Errorf(array.Exists, "Remote Copy group %s exists on array %s and is another one", g.Name, n.cfg.Name).Because(array.GroupExists)
		}
		return nil
	})
}

// checkExports refuses a description after which hosts of this array would see other
// volumes than before, or a host would not be the one it is here.
func (n *Node) checkExports(t *store.Tx, d Description) error {
	s, err := loadHosts(t)
	if err != nil {
		return err
	}
	get, fresh, err := d.after(t)
	if err != nil {
		return err
	}
	if taken := slices.IndexFunc(fresh, func(l VLUN) bool { o, ok, _ := tables.vluns.Get(t, vlunKey(l)); return ok && o.Volume != l.Volume }); taken < 0 && s.sameHosts(d) {
		s.on = " on array " + n.cfg.Name
		for _, v := range d.VVs {
			s.vvs[v.ID] = v
		}
		return s.oneVolumeEach(t, fresh, get)
	}
	s, err = loadSight(t)
	if err != nil {
		return err
	}
	private := map[array.GroupID]bool{}
	if err := tables.groups.Each(t, func(_ string, g RCGroup) error { private[g.ID] = g.Private; return nil }); err != nil {
		return err
	}
	after, err := s.with(d, n.cfg.Name, func(v array.VolumeID) bool { return !private[s.vvs[v].Group] })
	if err != nil {
		return err
	}
	_, err = after.seen()
	return err
}

// take makes this array's side of a group what d says, and puts it where it belongs, if that is
// said.
func (n *Node) take(d Description, places *book) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	return n.takeUp(d, places)
}

// takeUp is take for who holds taking.
func (n *Node) takeUp(d Description, places *book) error {
	if n.other() == nil { // what was asked before the relation ended
		return array.Errorf(array.Conflict, "array %s has no target: it takes no group from another array", n.cfg.Name).Because(array.NoTarget)
	}
	if places != nil {
		if err := places.check(); err != nil {
			return err
		}
	}
	if err := n.store.View(func(t *store.Tx) error { return n.sameLineage(t, d) }); err != nil {
		return err
	}
	if err := n.dropJoined(d); err != nil {
		return err
	}
	told := d
	check := func(t *store.Tx) error {
		d.Hosts, d.Sets = slices.Clone(told.Hosts), slices.Clone(told.Sets)
		if err := keepUntold(t, &d); err != nil {
			return err
		}
		if err := n.sameLineage(t, d); err != nil { // a person may have forced it meanwhile
			return err
		}
		return n.mayBeStored(t, d)
	}
	var checked uint64
	if err := n.store.View(func(t *store.Tx) error { checked = t.State(); return check(t) }); err != nil {
		return err
	}
	if err := n.dropReplaced(d); err != nil {
		return err
	}
	if err := n.passNumbers(d); err != nil {
		return err
	}
	old, err := n.describe(d.Group.ID)
	fresh := err != nil
	if fresh {
		if err := n.undropped(d); err != nil {
			return err
		}
		if err := n.finishDrop(d.Group.ID); err != nil {
			return err
		}
		if err := n.beginWith(d); err != nil {
			return err
		}
	}
	if !fresh {
		if err := n.mayTake(d); err != nil {
			return err
		}
		if !d.Group.newerThan(old.Group) {
			return finished(n.applyAgain(old))
		}
		for _, v := range d.VVs {
			if slices.Contains(old.Group.allGone(), v.ID) {
				return array.Errorf(array.Conflict, "volume %s was removed from group %s on array %s: its pages are gone there", v.Name, d.Group.Name, n.cfg.Name)
			}
		}
	}
	gone := missing(old.VVs, d.VVs)
	if err := n.unneeded(gone, d.VVs...); err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error {
		if t.State() != checked { // a command of this array may have changed what is described
			if err := check(t); err != nil {
				return err
			}
			if g, here, err := tables.groups.Get(t, store.Key(uint64(d.Group.ID))); err != nil || here == fresh || !fresh && g.edition() != old.Group.edition() {
				return orElse(err, array.Errorf(array.Busy, "group %s was changed on array %s meanwhile: tell it again", d.Group.Name, n.cfg.Name))
			}
		}
		return orElse(putDescription(t, old, d, gone), n.placesWith(t, places))
	}); err != nil {
		return err
	}
	return finished(n.apply(d, n.leftOver(old, d, gone)))
}

// leftOver returns what is to be removed when d takes the place of old: what goes now, and what
// went with a description that was not carried out in full.
func (n *Node) leftOver(old, d Description, gone []VV) []array.VolumeID {
	ids := idsOf(gone)
	if n.behind(old.Group) {
		ids = append(ids, d.Group.allGone()...)
	}
	return ids
}

// sameLineage refuses a description of a group that a person made go another way than what this array
// has of it. Volumes that only this array knows would go with their pages, before a person chose which
// of the two copies stays.
func (n *Node) sameLineage(t *store.Tx, d Description) error {
	if _, here, err := tables.groups.Get(t, store.Key(uint64(d.Group.ID))); err != nil || !here {
		return err
	}
	record, known, err := tables.facts.Get(t, factKey(d.Group.ID, "membership"))
	if err != nil || !known {
		return err
	}
	mine, err := arb.ParseStored(record.Value)
	if err != nil {
		return fmt.Errorf("read the record of group %s: %w", d.Group.Name, err)
	}
	theirs, err := arb.ParseStored(d.Record)
	if err != nil {
		return array.Errorf(array.Invalid, "the description of group %s lacks its record: %v", d.Group.Name, err)
	}
	if m, o := mine.Current, theirs.Current; m.Lineage != o.Lineage {
		return array.Errorf(array.Conflict, "group %s is %v on array %s and %v on the other: a person must choose which copy stays", d.Group.Name, m, n.cfg.Name, o)
	}
	return nil
}

// mayTake refuses a description of a group that is served here: the other array
// doesn't know yet that it isn't served there any more.
func (n *Node) mayTake(d Description) error {
	r := n.running(d.Group.ID)
	if r == nil {
		return nil
	}
	i, err := r.g.Info()
	if err == nil && i.Serving {
		err = array.Errorf(array.Conflict, "group %s is served by array %s, which describes it", d.Group.Name, n.cfg.Name)
	}
	return err
}

// takeOut ends the service of volumes that are gone.
func (n *Node) takeOut(run *running, gone []array.VolumeID) error {
	served := false
	n.publish(run.rec.ID, func(r *running) {
		r.units = maps.Clone(r.units)
		for _, id := range gone {
			served = served || r.units[id] != nil
			delete(r.units, id)
		}
	})
	if served {
		if err := n.exports.renew(run.rec.ID); err != nil {
			return err
		}
	}
	for _, id := range gone {
		if err := run.g.RemoveVolume(id); err != nil {
			return err
		}
	}
	return nil
}

// applyAgain does what a description that was stored failed to bring about.
func (n *Node) applyAgain(d Description) error {
	if !n.behind(d.Group) {
		return nil
	}
	return n.apply(d, d.Group.allGone())
}

// behind reports whether not all of a stored group is carried out here.
func (n *Node) behind(g RCGroup) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if run := n.groups[g.ID]; run != nil {
		return run.half || g.Change != run.rec.Change
	}
	_, out := n.unopened[g.ID]
	return out
}

// apply brings the running group in line with the stored description d, and removes the
// pages of the volumes that are gone.
func (n *Node) apply(d Description, gone []array.VolumeID) error {
	n.applying.Lock()
	defer n.applying.Unlock()
	run := n.running(d.Group.ID)
	if run == nil {
		if _, err := n.openGroup(d.Group, d.VVs); err != nil {
			return err
		}
		return errors.Join(n.showApplied(d), n.removePages(gone...))
	}
	since := d.Group.Change
	for _, v := range d.VVs {
		if run.units[v.ID] != nil {
			if v.Of != 0 {
				continue
			}
			// An array that was away when it grew learns the size so; else the entry was first.
			d := n.cpgs[v.CPG].Volume(v.ID)
			if err := d.Grow(v.Size); err != nil {
				return err
			}
			d.SetCap(v.mayTake())
			continue
		}
		if n.awaits(v) {
			continue
		}
		i, err := run.g.Info()
		if err != nil {
			return err
		}
		if p := n.cpgs[v.CPG]; p != nil {
			// What the group's log held before the volume came concerns other pools.
			if err := p.Begin(v.Group, i.Applied); err != nil {
				return err
			}
		}
		disk, err := n.disk(v)
		if err != nil {
			return err
		}
		run.pages.add(n.cpgs[v.CPG])
		if err := n.addVolume(run, v, disk, since); err != nil {
			return err
		}
	}
	if err := n.takeOut(run, gone); err != nil {
		return err
	}
	if err := n.removePages(gone...); err != nil {
		return err
	}
	stopped := run.rec.Stopped
	n.publish(d.Group.ID, func(r *running) { r.rec, r.half = d.Group, true })
	if d.Group.Private {
		run.g.Called(volumeOfPrivate(d.Group, d.VVs))
	}
	run.g.SetPolicy(n.policy(d.Group))
	if stopped != d.Group.Stopped { // where it stayed as it was, a policy may have stopped it since
		if err := run.g.SetStopped(d.Group.Stopped); err != nil {
			return err
		}
	}
	if err := n.showApplied(d); err != nil {
		return err
	}
	if err := run.g.Described(d.Group.Change); err != nil {
		return err
	}
	n.publish(d.Group.ID, func(r *running) { r.half = false })
	return nil
}

// showApplied shows hosts what a description says.
func (n *Node) showApplied(d Description) error {
	if err := n.exports.renew(d.Group.ID); err != nil {
		n.publish(d.Group.ID, func(r *running) { r.half = true })
		return err
	}
	return nil
}

func putDescription(t *store.Tx, old, d Description, gone []VV) error {
	for _, v := range old.VLUNs {
		if err := tables.vluns.Delete(t, vlunKey(v)); err != nil {
			return err
		}
	}
	for _, s := range old.Schedules {
		if err := tables.scheds.Delete(t, s.Name); err != nil {
			return err
		}
	}
	for _, s := range d.Schedules {
		if err := tables.scheds.Put(t, s.Name, s); err != nil {
			return err
		}
	}
	for _, v := range gone {
		if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
			return err
		}
	}
	if err := tables.groups.Put(t, store.Key(uint64(d.Group.ID)), d.Group); err != nil {
		return err
	}
	for _, v := range d.VVs {
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	for _, h := range d.Hosts {
		if err := tables.hosts.Put(t, h.Name, h); err != nil {
			return err
		}
	}
	for _, s := range d.Sets {
		if err := tables.sets.Put(t, s.Name, s); err != nil {
			return err
		}
	}
	for _, v := range d.VLUNs {
		if err := tables.vluns.Put(t, vlunKey(v), v); err != nil {
			return err
		}
	}
	return nil
}

func vlunKey(v VLUN) string { return vlunsOf(v.Host) + store.Key(uint64(v.LUN)) }

// vlunsOf is how the keys of all VLUNs of a host or, as set:name, a host set begin; no
// name has a slash.
func vlunsOf(host string) string { return host + "/" }
