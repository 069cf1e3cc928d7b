// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

const (
	// littleLeft is how many pages may be left to copy when hosts are held: what takes some
	// tens of milliseconds.
	littleLeft = 128
	// patientRounds is how often what was written meanwhile is copied before more may be
	// left, twice as much each time, up to mostLeft: hosts that write faster than that are
	// held for up to a second rather than never.
	patientRounds = 12
	mostLeft      = 4096
)

// leftAfter is how many pages may be left after a round.
func leftAfter(round int) int64 {
	return min(int64(littleLeft)<<max(0, min(round-patientRounds, 16)), mostLeft)
}

// joiner fills a volume that is to take another one's place.
type joiner struct {
	n    *Node
	v    VV // the one that is filled
	to   *group.Unit
	from VV // as it was when this began
	pool *volume.Pool
	run  *copyRun
	// end lets it take the place of the other one, which the snapshot is of.
	end func(ctx context.Context, j *joiner, last VV) error
	// whether says what keeps it from that now, as far as it can be known before.
	whether func(j *joiner, last VV) error
}

// joinStep takes a volume that is to join a group, which this array serves, as far as it goes.
func (n *Node) joinStep(ctx context.Context, v VV, r *copyRun) error {
	u := n.unitOf(v.Group, v.ID)
	if u == nil {
		return array.Errorf(array.Unavailable, "the volume that takes its place is not open")
	}
	if over, err := n.settleJoin(ctx, v.ID, u); over || err != nil {
		return err
	}
	from, err := n.vvOf(v.Joins.From)
	if err != nil {
		return array.Errorf(array.Unavailable, "volume %s is not on array %s, which serves the group: switch the group over to the other one, or 'dismissrcopyvv -f' it", v.Joins.Name, n.cfg.Name)
	}
	p := n.cpgs[from.CPG]
	if p == nil || p.Volume(from.ID) == nil || !n.serves(from.Group) {
		return array.Errorf(array.Unavailable, "volume %s is not open", from.Name)
	}
	if err := n.getsInSync(v.Group); err != nil {
		return err
	}
	j := &joiner{n, v, u, from, p, r, n.endJoin, n.mayTakeItsPlace}
	defer j.dropSnapshots(context.WithoutCancel(ctx), "")
	return j.fill(ctx)
}

// getsInSync says that a group's other array is being filled: what would be copied meanwhile
// would go there behind that, or twice.
func (n *Node) getsInSync(id array.GroupID) error {
	r := n.runningShared(id)
	if r == nil {
		return array.Errorf(array.Unavailable, "the group is not open")
	}
	i, err := r.g.Info()
	if err == nil && r.rec.Period == 0 && i.Contact && i.Syncing && !i.Synced && !i.Stopped {
		err = array.Errorf(array.Unavailable, "group %s is getting in sync: the volume is copied when it is", r.rec.Name)
	}
	return err
}

// fill copies until little is left, and then ends it.
func (j *joiner) fill(ctx context.Context) error {
	j.dropSnapshots(ctx, "")
	old, err := j.snapshot(ctx)
	if err != nil {
		return err
	}
	s := j.pool.Volume(old.ID)
	j.run.size.Store(s.Spec().Size)
	if err := (writer{j.n, j.pool, s, j.to}).whole(ctx, func(bytes int64) { j.run.done.Add(bytes) }); err != nil {
		return err
	}
	if old, err = j.rounds(ctx, old); err != nil {
		return err
	}
	r := j.n.runningShared(j.v.Group)
	if r == nil || r.rec.Period == 0 {
		return j.endWhenItCan(ctx, old)
	}
	// The other array has most of it first, and the rest at once: until then a failover that a
	// person forces is to a state without the volume.
	if err := j.n.syncPeriod(ctx, r); err != nil {
		return err
	}
	if old, err = j.rounds(ctx, old); err != nil {
		return err
	}
	if err := j.end(ctx, j, old); err != nil {
		return err
	}
	if err := j.n.syncPeriod(ctx, r); err != nil {
		j.n.event(fmt.Sprintf("array %s has volume %s with the next period of group %s: %v", j.n.to().Name, j.from.Name, r.rec.Name, err))
	}
	return nil
}

// endEvery is how often the end is tried while something keeps the volume from it, at first;
// each time after twice as long, up to endSeldom: what was written meanwhile is copied before.
const (
	endEvery  = time.Second
	endSeldom = 30 * time.Second
)

// endWhenItCan ends it as soon as nothing keeps the volume from that. What is there already is
// kept meanwhile. A run that is not among those of the array, and so can't be stopped as one
// of them, tries once.
func (j *joiner) endWhenItCan(ctx context.Context, old VV) error {
	defer j.run.waits.Store(false)
	for every := endEvery; ; every = min(2*every, endSeldom) {
		err := j.end(ctx, j, old)
		if err == nil || !passing(err) || ctx.Err() != nil || j.n.copies.run(j.v.ID) != j.run {
			return err
		}
		j.run.waits.Store(true)
		for wait := every; err != nil; wait = endEvery {
			j.n.copyWaits(j.v, err)
			if !pause(ctx, wait) {
				return ctx.Err()
			}
			if err := j.open(); err != nil {
				return err
			}
			if err = j.whether(j, old); err != nil && !passing(err) {
				return err
			}
		}
		if old, err = j.rounds(ctx, old); err != nil {
			return err
		}
	}
}

// open says whether both volumes are still the ones that this began with, and served here.
func (j *joiner) open() error {
	v, err := j.n.vvOf(j.v.ID)
	switch {
	case err != nil:
		return err
	case v.Joins == nil && v.Stays == nil:
		return array.Errorf(array.Aborted, "volume %s is being filled no more", j.from.Name)
	case j.n.unitOf(j.v.Group, j.v.ID) != j.to || !j.n.serves(j.v.Group) || !j.n.serves(j.from.Group):
		return array.Errorf(array.Unavailable, "volume %s is not served by array %s now", j.from.Name, j.n.cfg.Name)
	}
	return nil
}

// rounds copies what was written since a snapshot until little is left. It returns the
// snapshot that the volume is like then.
func (j *joiner) rounds(ctx context.Context, old VV) (VV, error) {
	for round := 1; ; round++ {
		now, err := j.snapshot(ctx)
		if err != nil {
			return old, err
		}
		left, err := j.between(ctx, old.ID, now.ID)
		if err != nil {
			return old, err
		}
		j.dropSnapshots(ctx, now.Name)
		if old = now; left <= leftAfter(round) {
			return old, nil
		}
		if round == 2*patientRounds {
			j.n.event(fmt.Sprintf("volume %s joins its group later: hosts write to it faster than it can be copied", j.from.Name))
		}
	}
}

// between copies what differs between a snapshot and a later one, or the volume itself.
func (j *joiner) between(ctx context.Context, older, newer array.VolumeID) (pages int64, err error) {
	from := j.pool.Volume(newer)
	if from == nil {
		return 0, array.Errorf(array.NotFound, "volume %s has lost a snapshot that was made to copy it", j.from.Name)
	}
	w, size := writer{j.n, j.pool, from, j.to}, from.Spec().Size
	all, inner := errgroup.WithContext(ctx)
	all.SetLimit(writesAtOnce)
	err = j.pool.Differ(older, newer, 0, func(page int64) bool {
		pages++
		off := page * block.Page
		if off < size {
			all.Go(func() error { return w.copyRange(inner, off, min(block.Page, size-off), false) })
		}
		return inner.Err() == nil
	})
	return pages, errors.Join(all.Wait(), err, ctx.Err())
}

// joinSnapshots is how the names of those begin that are made of a volume to copy it.
func joinSnapshots(v VV) string { return v.Name + "." }

// snapshot makes one of the volume as it is now.
func (j *joiner) snapshot(ctx context.Context) (VV, error) {
	now, err := j.n.vvOf(j.from.ID) // it may have another name by now
	if err != nil {
		return VV{}, err
	}
	name := joinSnapshots(j.v) + fmt.Sprintf("%04x", uint16(nonce()>>48))
	if _, err := j.n.Do(ctx, j.n.part("createsv", "-ro", name, now.Name)); err != nil {
		return VV{}, err
	}
	sv, _, err := j.n.vv(name)
	for end := time.Now().Add(madeWithin); err == nil && j.n.awaits(sv); {
		if time.Now().After(end) || !pause(ctx, time.Millisecond) {
			return VV{}, array.Errorf(array.Unavailable, "snapshot %s is not made", name)
		}
	}
	return sv, err
}

// dropSnapshots removes those that were made to copy the volume, but for one.
func (j *joiner) dropSnapshots(ctx context.Context, but string) {
	var names []string
	if err := j.n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byNeed, store.Key(uint64(j.from.ID)), func(_ string, o VV) error {
			if o.Of == j.from.ID && o.Name != but && strings.HasPrefix(o.Name, joinSnapshots(j.v)) {
				names = append(names, o.Name)
			}
			return nil
		})
	}); err != nil {
		j.n.event(fmt.Sprintf("look for the snapshots of volume %s: %v", j.from.Name, err))
	}
	for _, name := range names {
		if err := j.n.removeSnapshot(ctx, name, false); err != nil {
			j.n.event(fmt.Sprintf("snapshot %s, made to copy volume %s, is not removed: %v", name, j.from.Name, err))
		}
	}
}
