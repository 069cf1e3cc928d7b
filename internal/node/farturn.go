// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// How a copy comes to be the one that hosts use, and how what was used before follows it. The
// two groups have different identities and names, so at no time is there one volume twice;
// what may part is content, and a person says that it does.

// failoverFar lets a copy go on by itself from its last point. Said again, it finishes what was
// not finished.
func (n *Node) failoverFar(ctx context.Context, a *args, g RCGroup, f Far, force bool) error {
	switch t := n.farOf(f.Systems); {
	case f.Done == nil:
		return array.Errorf(array.Conflict, "group %s has no point of group %s: no copy came whole yet", g.Name, f.Remote)
	case !f.Parted && t != nil && n.servedThere(ctx, g.ID, f):
		return array.Errorf(array.Conflict, "group %s is a copy of group %s, and %s can be reached: there 'setrcopygroup reverse -t <target> %s' hands it over without loss, and 'dismissrcopytarget -keepvv' lets it go on by itself", g.Name, f.Remote, t.Name, f.Remote)
	case !force:
		return array.Errorf(array.Conflict, "group %s has the state of %s, and what was written to group %s since is lost to it: say -f", g.Name, f.Done.At.Format(timeForPeople), f.Remote)
	}
	a.waits("remote_copy_failover", g.Name, func(ctx context.Context) error {
		if err := n.goOnAlone(ctx, g.ID, f.Systems[0], a.tell); err != nil {
			return err
		}
		a.printf("group %s goes on from the state of %s\n", g.Name, f.Done.At.Format(timeForPeople))
		return nil
	})
	return nil
}

// leaveCopy is failoverFar, asked for by the source, which gives the copy up.
func (n *Node) leaveCopy(ctx context.Context, from array.GroupID) error {
	c, err := n.copyOf(from)
	if err != nil {
		return err
	}
	r, g, k := c.running()
	if r == nil {
		return nil // it was told before
	}
	f := g.Far[k]
	switch {
	case !f.Copy && !n.unfinished(g.ID): // else it was broken off, and is finished now
		return array.Errorf(array.Conflict, "group %s on array %s has gone on by itself", g.Name, n.cfg.Name).Because(array.Served)
	case f.Done == nil:
		return array.Errorf(array.Conflict, "group %s has no point: no copy came whole yet", g.Name)
	}
	if err := n.goOnAlone(ctx, g.ID, f.Systems[0], nil); err != nil {
		return err
	}
	n.command.Lock()
	defer n.command.Unlock()
	return n.forgetFar(ctx, g.ID, f.Systems[0])
}

// goOnAlone makes a copy's volumes what they were at its last point, and hosts' to use.
func (n *Node) goOnAlone(ctx context.Context, id array.GroupID, to array.SystemID, tell func(progress.Step)) error {
	d, f, err := n.describeFar(id, to)
	if err != nil {
		return err
	}
	end, err := n.remaking.begin(remade{group: id}, "group "+d.Group.Name)
	if err != nil {
		return err
	}
	defer end()
	n.command.Lock()
	err = n.changeFar(ctx, id, to, func(f *Far) { f.Copy, f.Parted = false, true })
	n.command.Unlock()
	if err != nil {
		return err
	}
	n.stopCopy(f.ID)
	if d, f, err = n.describeFar(id, to); err != nil { // as it is when nothing is written to it any more
		return err
	}
	m := progress.NewMeter("failover of group "+d.Group.Name, tell)
	vvs, snaps := d.volumesOf(f.Done)
	for i, v := range vvs {
		if !d.marked(v) {
			continue // it was done before
		}
		u, err := n.openUnit(v)
		if err != nil {
			return err
		}
		if err := n.backTo(ctx, u, snaps[v.ID]); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		m.At(int64(i+1), int64(len(vvs)), 0, v.Name)
	}
	n.command.Lock()
	defer n.command.Unlock()
	if err := n.freeVolumes(ctx, d); err != nil {
		return err
	}
	n.warn(fmt.Sprintf("group %s, a copy of group %s of %s, goes on by itself from the state of %s", d.Group.Name, f.Remote, n.farName(f), farTime(f.Done)))
	return nil
}

// freeVolumes ends that a group's volumes are being made what a point is. Those that no point
// has are removed: they hold a part of something.
func (n *Node) freeVolumes(ctx context.Context, d Description) error {
	var parts []VV
	err := n.changeDescription(ctx, d.Group.ID, func(t *store.Tx) error {
		parts = nil
		for _, was := range d.volumes() {
			// Its content took a while to come back: what else it is may have changed meanwhile.
			v, found, err := tables.vvs.Get(t, store.Key(uint64(was.ID)))
			switch {
			case err != nil:
				return err
			case !found || v.Taking != was.Taking:
			case v.Taking == v.ID:
				parts = append(parts, v)
			case d.marked(v):
				v.Taking = 0
				if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
					return err
				}
			}
		}
		_, err := n.strikePoint(t, d.Group.ID, parts)
		return err
	}, keepAsItWas)
	for _, v := range parts {
		n.warn(fmt.Sprintf("volume %s of group %s had not come whole, and was removed", v.Name, d.Group.Name))
	}
	return err
}

// partedWithin is how long the former source may take to learn that its copy went on.
const partedWithin = 30 * time.Second

// recoverFar makes the former source of a copy that went on by itself follow it.
func (n *Node) recoverFar(ctx context.Context, id array.GroupID, from array.SystemID) error {
	d, f, err := n.describeFar(id, from)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(d.volumes(), d.marked) {
		return array.Errorf(array.Conflict, "group %s is not what its last point was yet: 'setrcopygroup failover -f %s' finishes that", d.Group.Name, d.Group.Name)
	}
	q := far.Request{Kind: far.Follow, Group: id, Name: d.Group.Name, Systems: n.systems(), Period: f.Period, Tag: f.Done.tag(), Of: map[array.VolumeID]array.VolumeID{}}
	for own, other := range f.Of {
		q.Of[other] = own
	}
	// The former source learns that the copy went on when it asks it to take a point.
	if err := await(ctx, partedWithin, func() (bool, error) {
		_, err := n.askFar(ctx, f, farAnswer, q)
		if array.ReasonOf(err) == array.NotSynced {
			return false, nil
		}
		return err == nil, err
	}, array.Errorf(array.Conflict, "group %s of %s still takes group %s for its copy: stop the target there first", f.Remote, n.farName(f), d.Group.Name)); err != nil {
		return err
	}
	n.command.Lock()
	defer n.command.Unlock()
	return n.changeFar(ctx, id, f.Systems[0], func(f *Far) { f.Copy, f.Parted, f.Stopped = false, false, false })
}

// handFar hands a group over to its far copy, without loss: no host has it while that goes on.
func (n *Node) handFar(ctx context.Context, id array.GroupID, to array.SystemID) error {
	d, f, err := n.describeFar(id, to)
	if err != nil {
		return err
	}
	if f.Copy && !f.Handing {
		return array.Errorf(array.Conflict, "group %s follows group %s of %s: it is handed over there", d.Group.Name, f.Remote, n.farName(f))
	}
	if !f.Copy { // else it was begun before
		if err := n.unused(d); err != nil {
			return err
		}
		if f.ID == 0 || f.Done == nil {
			return array.Errorf(array.Conflict, "target %s has no point of group %s yet", n.farName(f), d.Group.Name).Because(array.NotSynced)
		}
		if err := n.syncFar(ctx, id, to, nil); err != nil {
			return err
		}
		if err := n.beginToFollow(ctx, id, to, true, n.unchanged); err != nil {
			return err
		}
	}
	_, err = n.askFar(ctx, f, farAnswer, far.Request{Kind: far.Lead, Group: id, Tag: n.doneTag(id, to)})
	if err != nil {
		return fmt.Errorf("group %s is nobody's to use until target %s takes it over: say it again: %w", d.Group.Name, n.farName(f), err)
	}
	n.command.Lock()
	err = n.changeFar(ctx, id, f.Systems[0], func(f *Far) { f.Handing = false })
	n.command.Unlock()
	if err != nil {
		return err
	}
	n.event(fmt.Sprintf("group %s was handed over to %s, and follows it", d.Group.Name, n.farName(f)))
	return nil
}

func (n *Node) doneTag(id array.GroupID, to array.SystemID) uint64 {
	_, f, err := n.describeFar(id, to)
	if err != nil {
		return 0
	}
	return f.Done.tag()
}

// unused refuses a group that hosts may write to.
func (n *Node) unused(d Description) error {
	if len(d.VLUNs) > 0 {
		l, name := d.VLUNs[0], ""
		for _, v := range d.VVs {
			if v.ID == l.Volume {
				name = v.Name
			}
		}
		more := ""
		if n := len(d.VLUNs) - 1; n > 0 {
			more = fmt.Sprintf(", and %s more", counted(n, "export"))
		}
		return array.Errorf(array.Conflict, "group %s has exported volumes, to which hosts may write (%s to %s on array %s%s): remove their VLUNs there first", d.Group.Name, name, l.Host, n.cfg.Name, more).Because(array.Exported)
	}
	for _, v := range d.volumes() {
		_, stays, err := n.stayingOf(v)
		if err != nil {
			return err
		}
		if v.Taking != 0 || v.Copy.underWay() || v.Joins != nil || v.Leaves || stays {
			return array.Errorf(array.Conflict, "volume %s of group %s is being written by this array itself, admitted or dismissed: wait for that", v.Name, d.Group.Name).Because(array.Copied)
		}
	}
	if len(d.Group.Far) > 1 {
		return array.Errorf(array.Conflict, "group %s has %d targets for periodic copies, and may follow another group only without: dismiss the others", d.Group.Name, len(d.Group.Far))
	}
	return nil
}

// unchanged refuses a group that is used, or was written to after the point that its copy has.
func (n *Node) unchanged(d Description) error {
	if err := n.unused(d); err != nil {
		return err
	}
	if err := n.flushGroup(d.Group.ID); err != nil {
		return err
	}
	if len(d.Group.Far) != 1 { // unused refuses more
		return array.Errorf(array.Conflict, "group %s has lost the target meanwhile", d.Group.Name)
	}
	snaps := d.pointOf(d.Group.Far[0].Done)
	for _, v := range d.volumes() {
		snap, ok := snaps[v.ID]
		if !ok {
			return array.Errorf(array.Busy, "volume %s was admitted after the last point: try again", v.Name).Because(array.NotSynced)
		}
		p, differs := n.cpgs[v.CPG], false
		if err := p.Differ(snap.ID, v.ID, 0, func(int64) bool { differs = true; return false }); err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		if differs {
			return array.Errorf(array.Busy, "volume %s was written to after the last point: try again", v.Name).Because(array.NotSynced)
		}
	}
	return nil
}

// beginToFollow makes a source's group a copy, that stands at its newest point.
func (n *Node) beginToFollow(ctx context.Context, id array.GroupID, from array.SystemID, handing bool, may func(Description) error) error {
	n.command.Lock()
	defer n.command.Unlock()
	d, f, err := n.describeFar(id, from)
	if err == nil {
		err = may(d)
	}
	if err != nil {
		return err
	}
	return n.changeDescription(ctx, id, func(t *store.Tx) error {
		var pending []VV // of a run that began meanwhile
		for _, v := range d.pointOf(f.Pending) {
			pending = append(pending, v)
		}
		g, err := n.strikePoint(t, id, pending)
		if err != nil {
			return err
		}
		g = g.withFar(g.farWith(from), func(f *Far) { f.Copy, f.Handing, f.Parted, f.Stopped, f.Pending = true, handing, false, false, nil })
		if err := d.takePoints(t, f.Done); err != nil {
			return err
		}
		return groupsPut(t, g)
	}, keepAsItWas)
}

// takePoints marks a group's volumes as being made what they were at a point.
func (d Description) takePoints(t *store.Tx, p *FarPoint) error {
	snaps := d.pointOf(p)
	for _, v := range d.volumes() {
		if v.Taking = v.ID; snaps[v.ID].ID != 0 {
			v.Taking = snaps[v.ID].ID
		}
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	return nil
}

// servedThere reports whether an array that answers says that the source of a copy is served. One
// that has lost the group, or can't decide who serves it, does not keep its copy from use.
func (n *Node) servedThere(ctx context.Context, id array.GroupID, f Far) bool {
	for _, t := range n.fars() {
		if !slices.Contains(f.Systems, t.SystemID) || !t.tie.Reachable() {
			continue
		}
		inner, cancel := context.WithTimeout(ctx, farCheckWithin)
		a, err := t.tie.Ask(inner, far.Request{Kind: far.Serves, Group: id})
		cancel()
		if err == nil && a.Have != 0 {
			return true
		}
	}
	return false
}
