// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// A volume leaves a group that has others, and stays on the array that serves it with all that
// it held, by way of a new un-mirrored volume, as one in use is admitted (joining.go): it is
// filled from snapshots while hosts go on, then they are held for a moment, and it takes the
// other one's place.
//
// Here the new volume is one array's alone, so its array decides, by one change of its store:
// the old one is the group's no more, and the new one is what it was. What must not be is that
// the other array shows hosts the old one after that. So before hosts are held the group's
// description says that the volume Leaves, and the other array has said that it has it: from
// then on it shows the volume to nobody, even if it serves the group. A crash before the change
// leaves all as it was, but for that word, which is taken back when this array serves the group
// again. If the other one serves it then, it asks this one what became of the volume, and
// either removes it or shows it again; while that does not answer, nobody knows.

// Staying is what an un-mirrored volume that takes the place of one that leaves its group is
// filled from.
type Staying struct {
	From array.VolumeID `json:"from"`
	Name string         `json:"name"`
}

// stays is the volume whose place v is to take, 0 for none.
func (v VV) stays() array.VolumeID {
	if v.Stays == nil {
		return 0
	}
	return v.Stays.From
}

// kindStay is that of tasks that wait for it.
const kindStay = "remote_copy_dismiss"

// stayingOf returns the volume of this array's own that is to take a leaving one's place.
func (n *Node) stayingOf(v VV) (w VV, is bool, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, o VV) error {
			if o.stays() == v.ID {
				w, is = o, true
			}
			return nil
		})
	})
	return w, is, err
}

// unleft refuses to remove a volume that a person wants to keep: it is leaving its group.
func (n *Node) unleft(v VV) error {
	w, is, err := n.stayingOf(v)
	switch {
	case err != nil:
		return err
	case is:
		return array.Errorf(array.Conflict, "volume %s is leaving the group: wait for that, or 'removevv -f %s' ends it", v.Name, w.Name).Because(array.Copied)
	case v.Leaves: // the array that keeps it has the other one
		return array.Errorf(array.Conflict, "volume %s is leaving the group: wait for that", v.Name).Because(array.Copied)
	}
	return nil
}

// staysBehind begins to take v, which is not its group's only volume, out of it. It returns what is to
// take its place.
func (n *Node) staysBehind(a *args, v VV, r *running) (array.VolumeID, error) {
	if err := n.mayStay(v, r); err != nil {
		return 0, err
	}
	w := VV{
		Name: fmt.Sprintf("rcdismiss.%d.%08x", n.VolumeNumber(v.ID), uint32(nonce()>>32)), Size: v.Size, CPG: v.CPG,
		Provisioning: v.Provisioning, Compress: v.Compress, Shows: v.identity(), Stays: &Staying{v.ID, v.Name},
	}
	if err := n.createVolume(w); err != nil {
		return 0, err
	}
	n.copies.wake()
	w, is, err := n.stayingOf(v)
	if err != nil || !is {
		return 0, orElse(err, errNotDismissed(v.Name))
	}
	a.printf("Volume %s is being copied, to stay on array %s", v.Name, n.cfg.Name)
	f, err := n.goOn(keptTask{TaskFact: TaskFact{Kind: kindStay, Name: v.Name}, By: a.by, Volume: w.ID, Undo: []string{"removevv", "-f", w.Name}}, n.stayWork(w.ID, v.Name))
	if err != nil { // it goes on without
		n.warn(fmt.Sprintf("the dismissal of volume %s has no task: %v", v.Name, err))
	} else {
		a.printf(", task ID = %d", f.ID)
	}
	a.printf("\n")
	return w.ID, nil
}

// copiedFrom reports whether a snapshot is one that a volume is copied from which joins or leaves a
// group; it goes by itself.
func (v VV) copiedFrom() bool {
	return v.Of != 0 && (strings.HasPrefix(v.Name, "rcadmit.") || strings.HasPrefix(v.Name, "rcdismiss."))
}

func errCopiedFrom(vv string, snap VV) error {
	return array.Errorf(array.Conflict, "volume %s is being admitted to a group, or dismissed from one: it is copied from snapshot %s, which goes when that is over", vv, snap.Name).Because(array.Copied)
}

// mayStay says what keeps a volume from staying when it leaves.
func (n *Node) mayStay(v VV, r *running) error {
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	if err := n.noCopy(r.rec.ID); err != nil {
		return err
	}
	if _, is, err := n.stayingOf(v); err != nil || is {
		return orElse(err, array.Errorf(array.Conflict, "volume %s is being dismissed already", v.Name).Because(array.Copied))
	}
	return n.staysAsIs(v, 0)
}

// staysAsIs refuses a volume that has what an un-mirrored copy would lack; but is a snapshot
// made to copy it.
func (n *Node) staysAsIs(v VV, but array.VolumeID) error {
	d, err := n.describe(v.Group)
	if err != nil {
		return err
	}
	for _, o := range d.VVs {
		if o.Of == v.ID && o.ID != but && o.Point == 0 && o.copiedFrom() {
			return errCopiedFrom(v.Name, o)
		}
		if o.Of == v.ID && o.ID != but && o.Point == 0 {
			return array.Errorf(array.Conflict, "volume %s has the snapshot %s, which would go with its copies: remove it first", v.Name, o.Name).Because(array.HasSnapshots)
		}
	}
	switch {
	case v.Copy.State != "" || v.Taking != 0:
		return array.Errorf(array.Conflict, "volume %s is being made a copy: wait for that, or 'createvvcopy -halt' it", v.Name).Because(array.Copied)
	case n.paired() && !n.reachable():
		return array.Errorf(array.Unavailable, "array %s does not answer: it could not be told that volume %s leaves", n.to().Name, v.Name).Because(array.TargetSilent)
	}
	return n.unscheduled(v)
}

// stayWork waits until a volume has left its group, whose place the one with that id is to take. Its
// name may become another one: the other array may serve the group meanwhile.
func (n *Node) stayWork(id array.VolumeID, name string) work {
	return func(ctx context.Context, tell func(progress.Step)) (string, error) {
		m := progress.NewMeter("dismissal of volume "+name, tell)
		for {
			w, err := n.vvOf(id)
			switch {
			case array.KindOf(err) == array.NotFound:
				return "", errNotDismissed(name)
			case err != nil:
				return "", err
			case w.Stays == nil:
				return fmt.Sprintf("volume %s is un-mirrored, on array %s\n", w.Name, n.cfg.Name), n.afterCommand(ctx)
			}
			if r := n.copies.run(id); r != nil {
				m.At(min(r.done.Load(), r.size.Load()), r.size.Load(), r.done.Load(), n.copies.why(id))
			} else if text := n.stranded(w); text != "" {
				m.At(0, w.Size, 0, text)
			}
			if !pause(ctx, waitCopyEvery) {
				return "", ctx.Err()
			}
		}
	}
}

func errNotDismissed(name string) error {
	return array.Errorf(array.Aborted, "volume %s was not dismissed: that was ended", name)
}

// waitStays lets a command wait until a volume is out of its group.
func (n *Node) waitStays(a *args, id array.VolumeID, name string) {
	a.waits("remote_copy_sync", name, func(ctx context.Context) error {
		text, err := n.stayWork(id, name)(ctx, a.tell)
		if err == nil {
			a.instead("%s", text)
		}
		return err
	})
}

// stayStep takes a volume that is to stay as far as it goes.
func (n *Node) stayStep(ctx context.Context, w VV, r *copyRun) error {
	u := n.unitOf(w.Group, w.ID)
	if u == nil {
		return array.Errorf(array.Unavailable, "the volume that takes its place is not open")
	}
	v, err := n.vvOf(w.Stays.From)
	if array.KindOf(err) == array.NotFound { // it was removed
		n.command.Lock()
		defer n.command.Unlock()
		return n.dropGroup(w.Group)
	}
	if err != nil {
		return err
	}
	p := n.cpgs[v.CPG]
	if !n.serves(v.Group) || p == nil || p.Volume(v.ID) == nil {
		return array.Errorf(array.Unavailable, "volume %s is not served by array %s now", v.Name, n.cfg.Name)
	}
	if v.Leaves {
		if err := n.setLeaves(ctx, v, false); err != nil {
			return err
		}
	}
	j := &joiner{n, w, u, v, p, r, n.endStay, func(*joiner, VV) error { return nil }}
	defer j.dropSnapshots(context.WithoutCancel(ctx), "")
	return j.fill(ctx)
}

func (n *Node) setLeaves(ctx context.Context, v VV, leaves bool) error {
	return n.setCopy(ctx, v, func(v *VV) error { v.Leaves = leaves; return nil })
}

// endStay lets the volume take the place of the one that leaves. last is the snapshot that it
// is like.
func (n *Node) endStay(ctx context.Context, j *joiner, last VV) error {
	n.command.Lock()
	defer n.command.Unlock()
	r := n.runningShared(j.from.Group)
	v, err := n.vvOf(j.from.ID)
	switch {
	case err != nil:
		return err
	case r == nil:
		return array.Errorf(array.Unavailable, "the group is not open")
	case v.Size != j.v.Size:
		return array.Errorf(array.Internal, "volume %s has %d bytes and is copied to %d", v.Name, v.Size, j.v.Size)
	}
	j.from = v
	if err := n.staysAsIs(v, last.ID); err != nil {
		return err
	}
	if err := n.changeVV(ctx, v, func(v *VV) error { v.Leaves = true; return nil }); err != nil {
		return err
	}
	err = n.letLeave(ctx, j, r, last)
	if err != nil {
		e := n.changeVV(context.WithoutCancel(ctx), v, func(v *VV) error { v.Leaves = false; return nil })
		return errors.Join(err, e)
	}
	return nil
}

// letLeave holds hosts, and changes the tables. An error says that it did not.
func (n *Node) letLeave(ctx context.Context, j *joiner, r *running, last VV) error {
	for end := time.Now().Add(agreeWithin); ; { // the other array shows it no more
		i, err := r.g.Info()
		if err != nil {
			return err
		}
		if i.Alike || !n.paired() {
			break
		}
		if time.Now().After(end) || !pause(ctx, time.Millisecond) {
			return array.Errorf(array.Unavailable, "array %s has not taken what group %s is now", n.to().Name, r.rec.Name)
		}
	}
	u, own := n.unitOf(j.from.Group, j.from.ID), n.running(j.v.Group)
	if u == nil || own == nil {
		return array.Errorf(array.Unavailable, "volume %s is not open", j.from.Name)
	}
	inner, cancel := context.WithTimeout(ctx, heldWithin)
	defer cancel()
	release, err := r.g.Hold(j.from.ID)
	if err != nil {
		return err
	}
	defer release()
	if _, err := j.between(inner, last.ID, j.from.ID); err != nil {
		return err
	}
	if err := own.g.Adopt(j.v.ID, u.Reservations()); err != nil {
		return err
	}
	d, gone, err := n.leftBehind(j, last)
	if err != nil {
		return err
	}
	n.hasLeft(ctx, d, gone, j.from.Name)
	return nil
}

// leftBehind makes the change by which the volume is the group's no more. It returns what the
// group is then, and what is gone.
func (n *Node) leftBehind(j *joiner, last VV) (Description, []array.VolumeID, error) {
	served, err := n.mayChange(j.from.Group)
	if err != nil {
		return Description{}, nil, err
	}
	var gone []VV
	as := j.from
	as.ID, as.Group, as.CPG, as.Base = j.v.ID, j.v.Group, j.v.CPG, 0
	as.Leaves, as.Stays, as.Joined, as.Shows = false, nil, 0, j.from.identity()
	err = n.store.Update(func(t *store.Tx) error {
		var vluns []VLUN
		if err := tables.vluns.With(t, byVolume, store.Key(uint64(j.from.ID)), func(_ string, l VLUN) error { vluns = append(vluns, l); return nil }); err != nil {
			return err
		}
		var err error
		if gone, err = withPoints(t, []VV{j.from, last}); err != nil {
			return err
		}
		for _, v := range gone {
			if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
				return err
			}
		}
		if err := tables.vvs.Put(t, store.Key(uint64(as.ID)), as); err != nil {
			return err
		}
		for _, l := range vluns {
			l.Volume = as.ID
			if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
				return err
			}
		}
		g, _, err := tables.groups.Get(t, store.Key(uint64(j.from.Group)))
		if err != nil {
			return err
		}
		for _, v := range gone {
			g = g.without(v)
		}
		return groupsPut(t, g.changed(served))
	})
	if err != nil {
		return Description{}, nil, err
	}
	d, err := n.described(j.from.Group)
	if err != nil { // the change stands
		d, err = n.describe(j.from.Group)
	}
	return d, idsOf(gone), err
}

// hasLeft brings all in line with the change.
func (n *Node) hasLeft(ctx context.Context, d Description, gone []array.VolumeID, name string) {
	if err := n.exports.rebuild(); err != nil { // hosts go on
		n.warn(fmt.Sprintf("volume %s: %v", name, err))
	}
	if err := n.apply(d, gone); err != nil {
		n.warn(fmt.Sprintf("volume %s left group %s: %v", name, d.Group.Name, err))
	}
	n.event(fmt.Sprintf("volume %s left group %s, and is un-mirrored", name, d.Group.Name))
	if !n.paired() {
		return // the group was a copy of another array's
	}
	if _, err := n.ask(context.WithoutCancel(ctx), request{Take: &d}); err != nil {
		n.event(fmt.Sprintf("volume %s left group %s; array %s hears of it later: %v", name, d.Group.Name, n.to().Name, err))
	}
}

// leftStep finds out what became of a volume that was about to leave when the array that was to
// keep it served the group.
func (n *Node) leftStep(ctx context.Context, v VV) error {
	text, err := n.ask(ctx, request{Left: v.ID})
	if err != nil {
		return err
	}
	if text == leftNo {
		return n.setLeaves(ctx, v, false)
	}
	if text != leftYes {
		return array.Errorf(array.Internal, "array %s says %q of it", n.to().Name, text)
	}
	n.command.Lock()
	defer n.command.Unlock()
	return n.removeVVs(ctx, v.Group, []VV{v})
}

// What an array answers that is asked whether a volume has left.
const (
	leftYes = "left"
	leftNo  = "there"
)

// saysLeft answers it, if this array does not serve the group: then it is for good.
func (n *Node) saysLeft(id array.VolumeID) (string, error) {
	if !n.command.TryLock() { // it may be leaving at this moment
		return "", array.Errorf(array.Busy, "array %s carries a command out", n.cfg.Name)
	}
	defer n.command.Unlock()
	v, err := n.vvOf(id)
	if err == nil && !n.serves(v.Group) {
		return leftNo, nil
	}
	if err == nil || array.KindOf(err) != array.NotFound {
		return "", orElse(err, array.Errorf(array.Busy, "array %s serves the volume's group", n.cfg.Name))
	}
	var text string
	err = n.store.View(func(t *store.Tx) error {
		return tables.groups.Each(t, func(_ string, g RCGroup) error {
			if slices.Contains(g.Gone, id) { // whatever became of it since
				text = leftYes
			}
			return nil
		})
	})
	if err == nil && text == "" {
		err = array.Errorf(array.Conflict, "array %s can't say whether volume %v left its group", n.cfg.Name, id)
	}
	return text, err
}
