// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
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

// A volume in use is admitted to a group that has volumes already by way of a new volume of
// that group, which takes its place in the end: with its content, name, WWN, exports, sets and
// reservations. Hosts write to the old one all the while, but for the moment of the change.
//
// The old volume's order, that of its private group, ends, and nothing of it is carried over:
// what the new one holds was written to it in the group's order, as by a host, through both
// journals. So births of its pages are places of the group like any others', and return of an
// array, repair, points and snapshots need no rule of their own; and the group stays in sync
// all the while, so that its other volumes are as safe as before. The price is room in the CPG
// for a second copy until then.
//
//  1. The new volume is admitted, unused, with Joins. Nobody sees it.
//  2. A snapshot of the old one is copied to it; then another is made, and what was written
//     between the two is copied, and so on until that is little (joinfill.go).
//  3. What the volume becomes is told to the other array, and that hosts are held: Held.
//     From now on the old volume is not opened by a start of this array.
//  4. The old volume's group ends, with all its writes on pages and answered. What was written
//     since the last snapshot is copied. The two are the same.
//  5. An entry of the group's log gives the new one the old one's reservations: group.Adopt.
//     This decides. It has the votes that a write has: what is committed is found by whoever
//     serves the group next, and what is cut off was committed nowhere.
//  6. The tables are changed, here and at the other array; hosts go on with the new volume.
//
// No write is lost: what hosts were told before 4 is in the old volume, and copied before 5;
// after 5 they write to the new one. Hosts never write to both: the old one is closed from
// before 5 on, over restarts, until whoever serves the group has found that there is no entry,
// and has said so by a description without Held; and the new one is shown after 5 only.
//
// What a crash or a failover leaves, before 3: a volume that nobody sees. The array that has
// the old one goes on filling it as soon as it serves the group. From 3 to 5: Held, and no
// entry. The array that serves the group takes Held back, and the old volume is opened again,
// at once if that is the array that has it, else when that hears of it. After 5: whoever
// serves the group does 6, which it knows from 3. If that is the other array, the one with the
// old volume removes that when it takes the group's description up. A failover that a person
// forces to a state before 5 shows hosts nothing of the new volume: see shows.
//
// The last step is not begun before both arrays are members of a synchronous group, so that no
// copy of it that may be promoted, by whatever means, is from before 5.

// Joining is what a volume that takes another one's place is to become.
type Joining struct {
	// From is the volume, of one array's own, whose place it takes; Name its name.
	From array.VolumeID `json:"from"`
	Name string         `json:"name"`
	// Held: hosts of that volume are held, and whether the place was taken is to be found in
	// the group's log. Then As is what the volume becomes, with VLUNs.
	Held  bool   `json:"held,omitempty"`
	As    *VV    `json:"as,omitempty"`
	VLUNs []VLUN `json:"vluns,omitempty"`
}

// joins is the volume whose place v is to take, 0 for none.
func (v VV) joins() array.VolumeID {
	if v.Joins == nil {
		return 0
	}
	return v.Joins.From
}

// kindJoin is that of tasks that wait for it.
const kindJoin = "remote_copy_admit"

// joining returns the volume that is to take another one's place, if there is one.
func joining(t *store.Tx, from array.VolumeID) (v VV, is bool, err error) {
	err = tables.vvs.With(t, byNeed, store.Key(uint64(from)), func(_ string, o VV) error {
		if o.joins() == from {
			v, is = o, true
		}
		return nil
	})
	return v, is, err
}

// notJoining refuses what can't be done to a volume whose place another one is to take, or to
// the other one.
func notJoining(t *store.Tx, v VV) error {
	if v.Joins != nil {
		return array.Errorf(array.Conflict, "volume %s is being filled to take the place of volume %s: it can be used when it did, by that name", v.Name, v.Joins.Name).Because(array.Copied)
	}
	if v.Stays != nil {
		return array.Errorf(array.Conflict, "volume %s is being filled to take the place of volume %s: it can be used when it did, by that name", v.Name, v.Stays.Name).Because(array.Copied)
	}
	if err := tables.vvs.With(t, byWatch, watchCopy, func(_ string, o VV) error {
		if o.stays() == v.ID {
			return array.Errorf(array.Conflict, "volume %s is being dismissed from its group: wait for that, or 'removevv -f %s' ends it", v.Name, o.Name).Because(array.Copied)
		}
		return nil
	}); err != nil {
		return err
	}
	o, is, err := joining(t, v.ID)
	if err != nil || !is {
		return err
	}
	g, _, err := tables.groups.Get(t, store.Key(uint64(o.Group)))
	return orElse(err, array.Errorf(array.Conflict, "volume %s is being admitted to group %s already: wait for that, or 'dismissrcopyvv -f %s %s' ends it", v.Name, g.Name, v.Name, g.Name).Because(array.Copied))
}

// joiningOf is joining.
func (n *Node) joiningOf(v VV) (o VV, is bool, err error) {
	err = n.store.View(func(t *store.Tx) (err error) { o, is, err = joining(t, v.ID); return err })
	return o, is, err
}

// joinsBy is joining for a volume, of this array or the other one, of which only the name is known, and
// the group that it is to join.
func (n *Node) joinsBy(name string, to array.GroupID) (o VV, is bool, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchCopy, func(_ string, x VV) error {
			if x.Joins != nil && x.Joins.Name == name && x.Group == to {
				o, is = x, true
			}
			return nil
		})
	})
	return o, is, err
}

// nameFree refuses the name of a volume, or that of one which the other array has and is to join a group.
func (n *Node) nameFree(t *store.Tx, name string) error {
	if _, ok, err := n.vvNamed(t, name); err != nil || ok {
		return orElse(err, array.Errorf(array.Exists, "volume %s exists already", name).Because(array.VolumeExists))
	}
	return tables.vvs.With(t, byWatch, watchCopy, func(_ string, o VV) error {
		if o.Joins == nil || o.Joins.Name != name {
			return nil
		}
		g, _, err := tables.groups.Get(t, store.Key(uint64(o.Group)))
		return orElse(err, array.Errorf(array.Exists, "volume %s of array %s is being admitted to group %s: 'dismissrcopyvv -f %s %s' ends that", name, n.to().Name, g.Name, name, g.Name).Because(array.VolumeExists))
	})
}

func (n *Node) notJoining(v VV) error {
	return n.store.View(func(t *store.Tx) error { return notJoining(t, v) })
}

// mayJoin says what keeps a volume in use out of a group that has others.
func (n *Node) mayJoin(ctx context.Context, v VV, r *running) error {
	if err := n.notJoining(v); err != nil {
		return err
	}
	if err := n.noCopy(r.rec.ID); err != nil {
		return err
	}
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	alone, err := n.describe(v.Group)
	switch {
	case err != nil:
		return err
	case v.Of != 0:
		return array.Errorf(array.Invalid, "%s is a snapshot, which is protected with its volume", v.Name).Because(array.IsSnapshot)
	case len(alone.VVs) > 1:
		return array.Errorf(array.Conflict, "volume %s has snapshots, which the other array can't have: remove them first", v.Name).Because(array.HasSnapshots)
	case v.Copy.State != "" || v.Taking != 0:
		return array.Errorf(array.Conflict, "volume %s is being made a copy: wait for that, or 'createvvcopy -halt' it", v.Name).Because(array.Copied)
	case len(alone.Schedules) > 0:
		return array.Errorf(array.Conflict, "volume %s has the schedule %s: removesched it first", v.Name, alone.Schedules[0].Name).Because(array.Scheduled)
	case !n.reachable():
		return array.Errorf(array.Unavailable, "target %s does not answer", n.to().Name).Because(array.TargetSilent)
	}
	if err := n.roomFor(v); err != nil {
		return err
	}
	// It is to have this name, these LUNs and hosts there.
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return err
	}
	d = d.joined(VV{ID: array.MakeVolumeID(n.cfg.SystemID, 0)}, v, alone) // nobody's number
	_, err = n.ask(ctx, request{Check: &d})
	return err
}

// joined is the description after v, which may not be there yet, took the place of from.
func (d Description) joined(v, from VV, alone Description) Description {
	as := v.becomes(from)
	as.Group = d.Group.ID
	d.VVs = append(slices.DeleteFunc(slices.Clone(d.VVs), func(o VV) bool { return o.ID == v.ID }), as)
	d.VLUNs = append(slices.Clone(d.VLUNs), vlunsFor(as.ID, alone)...)
	d.Hosts, d.Sets = slices.Clone(d.Hosts), slices.Clone(d.Sets)
	for _, h := range alone.Hosts {
		if !slices.ContainsFunc(d.Hosts, func(o Host) bool { return o.Name == h.Name }) {
			d.Hosts = append(d.Hosts, h)
		}
	}
	for _, s := range alone.Sets {
		if !slices.ContainsFunc(d.Sets, func(o HostSet) bool { return o.Name == s.Name }) {
			d.Sets = append(d.Sets, s)
		}
	}
	return d
}

// vlunsFor are the exports of an un-mirrored volume, for the one that takes its place.
func vlunsFor(id array.VolumeID, alone Description) []VLUN {
	l := slices.Clone(alone.VLUNs)
	for i := range l {
		l[i].Volume = id
	}
	return l
}

// becomes is v after it took the place of from.
func (v VV) becomes(from VV) VV {
	as := from
	as.ID, as.Group, as.CPG, as.Base, as.Copy = v.ID, v.Group, cmp.Or(v.CPG, from.CPG), 0, Copying{}
	as.Joins, as.Joined, as.Shows = nil, from.ID, from.identity()
	return as
}

// beginJoin begins to admit a volume in use to a group that has others.
func (n *Node) beginJoin(ctx context.Context, v VV, r *running) error {
	if err := n.mayJoin(ctx, v, r); err != nil {
		return err
	}
	return n.changeGroup(ctx, r.rec.ID, func(t *store.Tx) error {
		id, err := n.nextID(t)
		if err != nil {
			return err
		}
		j := VV{
			ID: array.MakeVolumeID(n.cfg.SystemID, id), Name: fmt.Sprintf("rcadmit.%d.%08x", n.VolumeNumber(v.ID), uint32(nonce()>>32)),
			Size: v.Size, CPG: v.CPG, Group: r.rec.ID, Provisioning: v.Provisioning, Compress: v.Compress,
			Shows: v.identity(), Joins: &Joining{From: v.ID, Name: v.Name},
		}
		return tables.vvs.Put(t, store.Key(uint64(j.ID)), j)
	})
}

// joins admits a volume in use to a group that has others, and says so.
func (n *Node) joins(ctx context.Context, a *args, v VV, r *running) error {
	if err := n.beginJoin(ctx, v, r); err != nil {
		return err
	}
	n.copies.wake()
	a.printf("Volume %s is being copied into group %s", v.Name, r.rec.Name)
	f, err := n.goOn(keptTask{
		TaskFact: TaskFact{Kind: kindJoin, Name: v.Name}, By: a.by, Undo: []string{"dismissrcopyvv", "-f", v.Name, r.rec.Name},
	}, n.joinWork(v.Name))
	if err != nil { // it goes on without
		n.warn(fmt.Sprintf("the admission of volume %s has no task: %v", v.Name, err))
	} else {
		a.printf(", task ID = %d", f.ID)
	}
	a.printf("\n")
	return nil
}

// joinWork waits until a volume is in its group.
func (n *Node) joinWork(name string) work {
	return func(ctx context.Context, tell func(progress.Step)) (string, error) {
		m, text := progress.NewMeter("admission of volume "+name, tell), ""
		for {
			v, g, err := n.vv(name)
			if err != nil {
				return "", err
			}
			if !g.Private {
				return fmt.Sprintf("volume %s is in group %s\n", name, g.Name), n.afterCommand(ctx)
			}
			o, is, err := n.joiningOf(v)
			if err != nil {
				return "", err
			}
			if !is {
				if _, g, err = n.vv(name); err == nil && !g.Private { // it came in between two looks
					continue
				}
				return "", errors.Join(err, array.Errorf(array.Aborted, "volume %s was not admitted: that was ended", name))
			}
			if r := n.copies.run(o.ID); r != nil {
				text = n.copies.why(o.ID)
				m.At(min(r.done.Load(), r.size.Load()), r.size.Load(), r.done.Load(), text)
			} else if text = n.stranded(o); text != "" {
				m.At(0, v.Size, 0, text)
			}
			if !pause(ctx, waitCopyEvery) {
				return "", ctx.Err()
			}
		}
	}
}

// afterCommand waits until the command is over that changed something: then the other array was
// told, too.
func (n *Node) afterCommand(ctx context.Context) error {
	for !n.command.TryLock() {
		if !pause(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	n.command.Unlock()
	return nil
}

// waitAdmitted lets a command wait until what it admits to a group is there on both arrays; joins
// are those volumes that take their place in it first.
func (n *Node) waitAdmitted(a *args, what, group string, joins []string) {
	a.waits("remote_copy_sync", what, func(ctx context.Context) error {
		for _, name := range joins {
			if _, err := n.joinWork(name)(ctx, a.tell); err != nil {
				return err
			}
		}
		r, err := n.findGroup(group) // the first volume may have taken its place
		if err != nil {
			return err
		}
		if _, err := n.mayChange(r.rec.ID); err != nil { // it serves in a moment
			return err
		}
		if err := n.synced(a, r)(ctx); err != nil {
			return fmt.Errorf("what was admitted is in group %s, and not in sync: %w", group, err)
		}
		if len(joins) > 0 {
			a.instead("%s in group %s, and in sync\n", theVolumes(joins), group)
		}
		return nil
	})
}

// mayGetInSync refuses to wait for what will not come by itself, before anything is done.
func (n *Node) mayGetInSync(r *running) error {
	if !n.paired() {
		return nil
	}
	i, err := r.g.Info()
	switch {
	case err != nil:
		return err
	case i.Stopped:
		return r.stopped()
	case !n.reachable():
		return array.Errorf(array.Unavailable, "group %s can't get in sync now: array %s does not answer; without -wait the volume is admitted, and copied when that is there", r.rec.Name, n.to().Name).Because(array.TargetSilent)
	}
	return nil
}

// theVolumes names volumes at the beginning of a sentence.
func theVolumes(names []string) string {
	if len(names) == 1 {
		return "Volume " + names[0] + " is"
	}
	return "Volumes " + strings.Join(names, ", ") + " are"
}

// endsJoin ends the admission of a volume in use: it stays what it is. Another volume is
// removed that nobody saw.
func (n *Node) endsJoin(ctx context.Context, v VV, sure func(string, ...any) error) error {
	if err := n.mayEndJoin(v); err != nil {
		return err
	}
	if err := sure("dismissrcopyvv ends the admission of volume %s, which stays what it is", v.Joins.Name); err != nil {
		return err
	}
	if err := n.removeVVs(ctx, v.Group, []VV{v}); err != nil {
		return err
	}
	if r := n.copies.run(v.ID); r != nil {
		r.stop()
	}
	return nil
}

// mayEndJoin refuses it in the moment in which the volume takes the other one's place.
func (n *Node) mayEndJoin(v VV) error {
	if v.Joins != nil && v.Joins.Held {
		return array.Errorf(array.Conflict, "volume %s takes its place in the group, or is found not to: try again in a moment", v.Joins.Name).Because(array.Copied)
	}
	return nil
}

// admitUsed admits a volume with all that it has. It reports whether that takes its time.
func (n *Node) admitUsed(ctx context.Context, a *args, v VV, r *running) (joins bool, err error) {
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return false, err
	}
	if len(d.VVs) == 0 && v.Base == 0 {
		if err := n.notJoining(v); err != nil {
			return false, err
		}
		return false, n.founds(ctx, v, r)
	}
	return true, n.joins(ctx, a, v, r)
}
