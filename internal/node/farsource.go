// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// The array that orders a group's writes brings its far copies up to date, point after point.
// Whichever that is finds the same points, so a copy goes on over any failover in the pair.

const (
	// farEvery is how often is looked whether a point is due, farAgain how long after a
	// failure one is tried again.
	farEvery = 500 * time.Millisecond
	farAgain = 5 * time.Second
	// maxFarRuns is how many copies are brought up to date at a time.
	maxFarRuns = 4
	// farAnswer is how long the copy may take for one request; making it empty takes longest.
	farAnswer = 10 * time.Minute
	// farFlush is how long snapshots may take to come to this array.
	farFlush = 10 * time.Second
)

// watchFars sends points when they are due.
func (n *Node) watchFars(ctx context.Context) {
	var runs sync.WaitGroup
	defer runs.Wait()
	for pause(ctx, farEvery) {
		all := n.related()
		n.farRuns.prune(all)
		silent := map[array.SystemID]bool{} // asked in this round, in vain
		for _, r := range all {
			n.giveFarWay(ctx, r)
			for _, f := range r.rec.Far {
				n.watchFarPeriod(r, f)
				if !silent[f.Systems[0]] {
					silent[f.Systems[0]] = !n.lookAtFar(ctx, r, f)
				}
				ctx, end := n.beginFarRun(ctx, r, f)
				if end == nil {
					continue
				}
				runs.Go(func() {
					defer end()
					err := n.sendFarPoint(ctx, r.rec.ID, f.Systems[0])
					n.endFarRun(ctx, r.rec, f, err)
				})
			}
		}
	}
}

// sendFarPoint brings a copy to the pending point, or to a new one.
func (n *Node) sendFarPoint(ctx context.Context, id array.GroupID, to array.SystemID) error {
	r, d, k, err := n.farSource(id, to)
	if err != nil {
		return err
	}
	if p := d.Group.Far[k].Pending; p == nil || !n.hasPoint(ctx, d, p) {
		if d, err = n.newPoint(ctx, r, to, d); err != nil {
			return err
		}
	}
	if k = d.Group.farWith(to); k < 0 {
		return array.Errorf(array.Conflict, "group %s has lost the target meanwhile", d.Group.Name)
	}
	f := d.Group.Far[k]
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	q := far.Request{
		Kind: far.Begin, Group: id, Name: d.Group.Name, Systems: n.systems(), Period: f.Period, Epoch: i.View.Epoch, Term: i.End.Term,
		Tag: f.Pending.Tag, Time: f.Pending.At.UnixNano(),
	}
	vvs, snaps := d.volumesOf(f.Pending)
	if len(vvs) == 0 {
		return array.Errorf(array.Conflict, "group %s has no volumes any more", d.Group.Name)
	}
	src := &farReader{n: n, now: snaps}
	if f.Done != nil && n.hasPoint(ctx, d, f.Done) {
		q.Base, src.base = f.Done.Tag, d.pointOf(f.Done)
	}
	for _, v := range vvs {
		x, err := f.volume(v, snaps[v.ID].Size)
		if err != nil {
			return err
		}
		q.Volumes = append(q.Volumes, x)
	}
	sent, err := far.Send(ctx, farAsker{n, f}, q, src, func(p progress.Amount) {
		n.farRuns.change(f.key(id), func(s *farRun) { s.sent = p })
	})
	if err != nil {
		return n.partedFrom(ctx, id, to, err)
	}
	if sent.Whole && f.Done != nil {
		n.event(fmt.Sprintf("group %s: everything was compared with target %s, which got %d pages, since the points that both had were not to be had", d.Group.Name, n.farName(f), sent.Pages))
	}
	n.command.Lock()
	defer n.command.Unlock()
	if err := n.noteCopy(ctx, id, f, sent.Copy); err != nil {
		return err
	}
	return n.pointDone(ctx, id, to, q.Tag)
}

// volume is what a target is told of one.
func (f Far) volume(v VV, size int64) (far.Volume, error) {
	like, err := json.Marshal(likeOf(v))
	return far.Volume{ID: v.ID, Name: f.nameOf(v), Source: v.Name, CPG: f.CPG, Size: size, Like: like}, err
}

// farSource returns a group that is served here, with a relation in which it is the source.
func (n *Node) farSource(id array.GroupID, to array.SystemID) (*running, Description, int, error) {
	r := n.running(id)
	if r == nil {
		return nil, Description{}, 0, array.Errorf(array.Unavailable, "the group is not open")
	}
	d, err := n.describe(id)
	if err != nil {
		return nil, d, 0, err
	}
	k := d.Group.farWith(to)
	if k < 0 || d.Group.Far[k].Copy {
		return nil, d, 0, array.Errorf(array.Conflict, "group %s has lost the target meanwhile", d.Group.Name)
	}
	return r, d, k, nil
}

// hasPoint reports whether a point's snapshots are all on this array.
func (n *Node) hasPoint(ctx context.Context, d Description, p *FarPoint) bool {
	snaps := d.pointOf(p)
	if len(snaps) == 0 {
		return false
	}
	for end := time.Now().Add(farFlush); ; {
		here := true
		for _, v := range snaps {
			here = here && n.onPages(v.ID)
		}
		if here {
			return true
		}
		if err := n.flushGroup(d.Group.ID); err != nil || time.Now().After(end) {
			return false
		}
		for _, v := range snaps {
			if !n.onPages(v.ID) {
				return false // what was applied is on pages, and it is not there
			}
		}
	}
}

// newPoint takes a point in place of one that was not made, if there is such.
func (n *Node) newPoint(ctx context.Context, r *running, to array.SystemID, d Description) (Description, error) {
	n.command.Lock()
	defer n.command.Unlock()
	d, err := n.describe(d.Group.ID)
	if err != nil {
		return d, err
	}
	k := d.Group.farWith(to)
	switch {
	case k < 0 || d.Group.Far[k].Copy:
		return d, array.Errorf(array.Conflict, "group %s has lost the target meanwhile", d.Group.Name)
	case r.pages.Short():
		return d, array.Errorf(array.Full, "this array's CPG is short of room: no point is taken, and those that there were are given back")
	}
	if p := d.Group.Far[k].Pending; p != nil {
		var lost []VV
		for _, v := range d.pointOf(p) {
			lost = append(lost, v)
		}
		if err := n.forgetPoint(ctx, r, to, lost); err != nil {
			return d, err
		}
	}
	if err := n.takePoint(ctx, r, to); err != nil {
		return d, fmt.Errorf("take a point: %w", err)
	}
	return n.describe(r.rec.ID)
}

// giveFarWay gives room that points hold back to hosts, whatever the relations are: the next
// point is compared. A copy keeps its point, since it has nothing else.
func (n *Node) giveFarWay(ctx context.Context, r running) {
	short := slices.ContainsFunc(r.rec.Far, func(f Far) bool { return !f.Copy && (f.Done != nil || f.Pending != nil) }) && r.pages.Short()
	if !short {
		return
	}
	if i, err := r.g.Info(); err != nil || !i.Serving || i.Owner != i.Self || !n.command.TryLock() {
		return
	}
	defer n.command.Unlock()
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return
	}
	for _, f := range d.Group.Far {
		var held []VV
		for _, p := range []*FarPoint{f.Done, f.Pending} {
			for _, v := range d.pointOf(p) {
				held = append(held, v)
			}
		}
		if f.Copy || len(held) == 0 {
			continue
		}
		n.farRuns.end(f.key(r.rec.ID))
		if err := n.forgetPoint(ctx, &r, f.Systems[0], held); err != nil {
			n.log.Warn("give back what points hold", "group", r.rec.Name, "err", err)
			continue
		}
		n.warn(fmt.Sprintf("group %s: a CPG is short of room, and what points for target %s held is given back", r.rec.Name, n.farName(f)))
	}
}

// partedFrom notes that the copy went on by itself.
func (n *Node) partedFrom(ctx context.Context, id array.GroupID, to array.SystemID, err error) error {
	if array.ReasonOf(err) != array.Served {
		return err
	}
	n.command.Lock()
	defer n.command.Unlock()
	return errors.Join(err, n.changeFar(ctx, id, to, func(f *Far) { f.Parted = f.Parted || !f.Copy }))
}

// changeFar changes one relation of a group.
func (n *Node) changeFar(ctx context.Context, id array.GroupID, to array.SystemID, change func(*Far)) error {
	return n.changeDescription(ctx, id, func(t *store.Tx) error {
		g, k, err := farIn(t, id, to)
		if err != nil {
			return err
		}
		return groupsPut(t, g.withFar(k, change))
	}, keepAsItWas)
}

// noteCopy remembers what the copy says of itself.
func (n *Node) noteCopy(ctx context.Context, id array.GroupID, f Far, a far.Answer) error {
	if a.Group == "" || !slices.Contains(a.Systems, f.Systems[0]) {
		return nil
	}
	d, err := n.describe(id)
	if err != nil {
		return err
	}
	if !validName(a.Group) {
		return array.Errorf(array.Invalid, "the copy calls its group %.40q: %s", a.Group, nameWanted)
	}
	if err := n.knownAs(a.ID, d.Group, f); err != nil {
		return err
	}
	// The first one is what the relation is known by; what another relation, or this array, is
	// known by can't be the copy's.
	systems := []array.SystemID{f.Systems[0]}
	for _, s := range a.Systems {
		if k := d.Group.farWith(s); len(systems) < 2 && !slices.Contains(systems, s) && !slices.Contains(n.systems(), s) && (k < 0 || k == d.Group.farWith(f.Systems[0])) {
			systems = append(systems, s)
		}
	}
	of := map[array.VolumeID]array.VolumeID{}
	for copied, own := range a.Of {
		of[own] = copied
	}
	of = d.ownOf(of)
	if a.Group == f.Remote && a.ID == f.ID && slices.Equal(systems, f.Systems) && maps.Equal(of, f.Of) {
		return nil
	}
	return n.changeFar(ctx, id, f.Systems[0], func(f *Far) { f.Remote, f.ID, f.Systems, f.Of = a.Group, a.ID, systems, of })
}

// knownAs refuses what a group outside the pair calls itself if a group of other arrays is known
// by that: whoever asks in its name would be taken for the other one. One target may do so, if it
// was set up anew: what another of its groups was known by is not so any more.
func (n *Node) knownAs(as array.GroupID, g RCGroup, f Far) error {
	r, o, k := n.runningOf(as)
	if r == nil || slices.Contains(o.Far[k].Systems, f.Systems[0]) {
		return nil
	}
	return array.Errorf(array.Denied, "the group on %s that group %s has to do with calls itself what another one is known by, of group %s", n.farName(f), g.Name, o.Name)
}

// farAsker brings requests to the array that serves a copy.
type farAsker struct {
	n *Node
	f Far
}

// Ask implements far.Asker.
func (x farAsker) Ask(ctx context.Context, q far.Request) (far.Answer, error) {
	return x.n.askFar(ctx, x.f, farAnswer, q)
}
