// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// heldWithin bounds for how long hosts are held while what is left is copied: a host asks
// again a while, and then takes its disk for lost.
const heldWithin = 5 * time.Second

// agreeWithin is how long both halves of a group may take to say that they have its newest
// description.
const agreeWithin = 2 * time.Second

// endJoin lets the volume take the other one's place. last is the snapshot that it is like.
func (n *Node) endJoin(ctx context.Context, j *joiner, last VV) error {
	n.command.Lock()
	defer n.command.Unlock()
	alone, err := n.mayTakePlace(j, last)
	if err != nil {
		return err
	}
	d, err := n.describe(j.v.Group)
	if err != nil {
		return err
	}
	d = d.joined(j.v, j.from, alone)
	if _, err := n.ask(ctx, request{Check: &d}); err != nil {
		return err
	}
	as := j.v.becomes(j.from)
	err = n.changeVV(ctx, j.v, func(v *VV) error {
		if v.Joins == nil {
			return array.Errorf(array.Conflict, "volume %s is being filled no more", v.Name)
		}
		v.Joins = &Joining{From: j.from.ID, Name: j.from.Name, Held: true, As: &as, VLUNs: vlunsFor(as.ID, alone)}
		return nil
	})
	if err != nil {
		return err
	}
	began := time.Now()
	err = n.takePlace(ctx, j, last)
	if _, e := n.settle(context.WithoutCancel(ctx), j.v.ID, j.to); err != nil || e != nil {
		return errors.Join(err, e)
	}
	n.log.Info("a volume was admitted in use", "volume", j.from.Name, "held", time.Since(began))
	return nil
}

// mayTakePlace says what keeps the volume from it now. It brings what is known of the volume
// that is copied up to date, and returns the description of its group.
func (n *Node) mayTakePlace(j *joiner, last VV) (alone Description, err error) {
	r := n.runningShared(j.v.Group)
	if r == nil {
		return alone, array.Errorf(array.Unavailable, "the group is not open")
	}
	if alone, err = n.describe(j.from.Group); err != nil {
		return alone, err
	}
	for _, v := range alone.VVs {
		switch v.ID {
		case j.from.ID:
			j.from = v
		case last.ID:
		default:
			return alone, array.Errorf(array.Conflict, "volume %s has the snapshot %s, which the other array can't have: remove it", j.from.Name, v.Name).Because(array.HasSnapshots)
		}
	}
	i, err := r.g.Info()
	switch {
	case err != nil:
		return alone, err
	case len(alone.Schedules) > 0:
		return alone, array.Errorf(array.Conflict, "volume %s has the schedule %s: removesched it", j.from.Name, alone.Schedules[0].Name).Because(array.Scheduled)
	case j.from.Copy.State != "" || j.from.Taking != 0:
		return alone, array.Errorf(array.Conflict, "volume %s is being made a copy", j.from.Name).Because(array.Copied)
	case j.from.Size != j.v.Size:
		return alone, array.Errorf(array.Internal, "volume %s has %d bytes and is copied to %d", j.from.Name, j.from.Size, j.v.Size)
	case !n.reachable():
		return alone, array.Errorf(array.Unavailable, "array %s does not answer: the volume is copied, and takes its place in the group when it does", n.to().Name).Because(array.TargetSilent)
	case r.rec.Period == 0 && (!i.Synced || !i.Serving):
		return alone, array.Errorf(array.Unavailable, "group %s is not in sync: the volume is copied, and takes its place in the group when that is", r.rec.Name)
	}
	return alone, nil
}

// mayTakeItsPlace says what keeps the volume from it now.
func (n *Node) mayTakeItsPlace(j *joiner, last VV) error {
	n.command.Lock()
	defer n.command.Unlock()
	_, err := n.mayTakePlace(j, last)
	return err
}

// takePlace holds the hosts of the old volume and lets the log decide.
func (n *Node) takePlace(ctx context.Context, j *joiner, last VV) error {
	r := n.runningShared(j.v.Group)
	old := n.unitOf(j.from.Group, j.from.ID)
	if r == nil || old == nil {
		return array.Errorf(array.Unavailable, "volume %s or its group is not open", j.from.Name)
	}
	for end := time.Now().Add(agreeWithin); ; { // before hosts are held
		i, err := r.g.Info()
		if err != nil {
			return err
		}
		if i.Alike || i.View.Role != arb.Paired {
			break
		}
		if time.Now().After(end) || !pause(ctx, time.Millisecond) {
			return array.Errorf(array.Unavailable, "array %s has not taken what group %s is now", n.to().Name, r.rec.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, heldWithin)
	defer cancel()
	if err := n.retire(j.from.Group, j.from.Name); err != nil {
		return err
	}
	if _, err := j.between(ctx, last.ID, j.from.ID); err != nil {
		return err
	}
	return r.g.Adopt(j.v.ID, old.Reservations())
}

// settleJoin finishes what was decided, or takes back that hosts are held if it was not. It
// reports whether nothing is left to be done.
func (n *Node) settleJoin(ctx context.Context, id array.VolumeID, u *group.Unit) (over bool, err error) {
	n.command.Lock()
	defer n.command.Unlock()
	return n.settle(ctx, id, u)
}

func (n *Node) settle(ctx context.Context, id array.VolumeID, u *group.Unit) (over bool, err error) {
	v, err := n.vvOf(id)
	if err != nil || v.Joins == nil {
		return true, err
	}
	if !v.Joins.Held {
		return false, nil
	}
	if err := n.settled(ctx, v); err != nil {
		return false, err
	}
	if u.Adopted() {
		return true, n.tookPlace(ctx, id)
	}
	return false, n.unhold(ctx, id)
}

// settled waits until all that has a place in the volume's group is applied, where the group is
// served here: an entry that is not among it is nowhere.
func (n *Node) settled(ctx context.Context, v VV) error {
	r := n.runningShared(v.Group)
	if r == nil {
		return array.Errorf(array.Unavailable, "the group is not open")
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	for end := time.Now().Add(agreeWithin); ; {
		done, served, err := r.g.Settled(i.End.Place)
		switch {
		case err != nil:
			return err
		case !served:
			return array.Errorf(array.Busy, "group %s is not served here at this moment", r.rec.Name)
		case done:
			return nil
		case time.Now().After(end) || !pause(ctx, time.Millisecond):
			return array.Errorf(array.Busy, "group %s: writes under way take long", r.rec.Name)
		}
	}
}

// unhold says that the volume did not take the other one's place, and opens that again if it
// is here.
func (n *Node) unhold(ctx context.Context, id array.VolumeID) error {
	v, err := n.vvOf(id)
	if err != nil {
		return err
	}
	if err := n.changeVV(ctx, v, func(v *VV) error {
		if v.Joins != nil {
			v.Joins = &Joining{From: v.Joins.From, Name: v.Joins.Name}
		}
		return nil
	}); err != nil {
		return err
	}
	return n.reopenHeld()
}

// reopenHeld opens the volumes that are held no more.
func (n *Node) reopenHeld() error {
	var all []VV
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, v VV) error {
			if v.Joins == nil || v.Joins.Held {
				return nil
			}
			from, ok, err := tables.vvs.Get(t, store.Key(uint64(v.Joins.From)))
			if ok {
				all = append(all, from)
			}
			return err
		})
	}); err != nil {
		return err
	}
	var errs []error
	for _, v := range all {
		n.mu.RLock()
		_, out := n.unopened[v.Group]
		closed := n.groups[v.Group] == nil
		n.mu.RUnlock()
		if !closed && !out {
			continue
		}
		d, err := n.describe(v.Group)
		if err == nil && closed {
			err = n.reopen(d)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tookPlace does what the log's entry decided: the volume becomes what it was to become, and
// the other one goes, if it is here. A command runs.
func (n *Node) tookPlace(ctx context.Context, id array.VolumeID) error {
	v, err := n.vvOf(id)
	if err != nil {
		return err
	}
	if v.Joins == nil || v.Joins.As == nil {
		return nil
	}
	served, err := n.mayChange(v.Group)
	if err != nil {
		return err
	}
	from, err := n.heldHere(v)
	if err != nil {
		return err
	}
	err = n.store.Update(func(t *store.Tx) error {
		if from != nil {
			if err := strike(t, *from); err != nil {
				return err
			}
		}
		if err := tables.vvs.Put(t, store.Key(uint64(id)), *v.Joins.As); err != nil {
			return err
		}
		vluns := v.Joins.VLUNs
		if from != nil {
			vluns = vlunsFor(id, *from)
		}
		for _, l := range vluns {
			if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
				return err
			}
		}
		g, _, err := tables.groups.Get(t, store.Key(uint64(v.Group)))
		if err != nil {
			return err
		}
		return groupsPut(t, g.changed(served))
	})
	if err != nil {
		return err
	}
	if err := n.exports.rebuild(); err != nil { // hosts go on
		n.warn(fmt.Sprintf("volume %s: %v", v.Joins.Name, err))
	}
	n.event(fmt.Sprintf("volume %s is in its group, with all that it held", v.Joins.Name))
	var errs []error
	if from != nil {
		n.closeGroup(from.Group.ID)
		errs = append(errs, n.finishDrop(from.Group.ID))
	}
	now, err := n.described(v.Group)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, n.apply(now, nil))
	if n.reachable() { // else, and if it does not take it, it is told again
		if _, err := n.ask(ctx, request{Take: &now}); err != nil {
			n.event(fmt.Sprintf("volume %s is in group %s; array %s hears of it later: %v", v.Joins.Name, now.Group.Name, n.to().Name, err))
		}
	}
	return errors.Join(errs...)
}

// heldHere describes the group of the volume whose place v takes, nil if it is not here.
func (n *Node) heldHere(v VV) (*Description, error) {
	from, err := n.vvOf(v.Joins.From)
	if array.KindOf(err) == array.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := n.describe(from.Group)
	if err == nil && !d.Group.Private {
		err = array.Errorf(array.Internal, "volume %s, whose place %s takes, is in group %s", from.Name, v.Name, d.Group.Name)
	}
	return &d, err
}

// dropJoined removes volumes whose places were taken in a group that the other array
// describes: it found the entry that decided so.
func (n *Node) dropJoined(d Description) error {
	for _, v := range d.VVs {
		if v.Joined == 0 || v.Joins != nil {
			continue
		}
		mine, err := n.vvOf(v.ID)
		if err != nil || mine.Joins == nil || !mine.Joins.Held || mine.Joins.From != v.Joined {
			continue // it is done, or not what the other array takes it for
		}
		from, err := n.heldHere(mine)
		if err != nil || from == nil {
			return err
		}
		n.closeGroup(from.Group.ID)
		if err := n.store.Update(func(t *store.Tx) error { return strike(t, *from) }); err != nil {
			return err
		}
		if err := n.finishDrop(from.Group.ID); err != nil {
			return err
		}
		if err := n.exports.rebuild(); err != nil {
			return err
		}
	}
	return nil
}
