// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/store"
)

// How an array does its part when another one turns a relation around.

// turnFar answers Follow, Lead and Serves.
func (n *Node) turnFar(ctx context.Context, from array.SystemID, q far.Request) (a far.Answer, err error) {
	for _, r := range n.related() {
		k := slices.IndexFunc(r.rec.Far, func(f Far) bool {
			return slices.Contains(f.Systems, from) && (f.ID == q.Group || q.Kind == far.Follow && f.Remote == q.Name)
		})
		if k < 0 {
			continue
		}
		if q.Kind == far.Serves {
			i, err := r.g.Info()
			if i.Serving || i.View.Role == arb.Paired || i.View.Role == arb.Out {
				a.Have = 1
			}
			return a, err
		}
		if n.elsewhere(&r) {
			return a, array.Errorf(array.Moved, "group %s is served by array %s", r.rec.Name, n.to().Name).Because(array.ServedElsewhere)
		}
		if q.Kind == far.Lead {
			return a, n.lead(ctx, r, k, q)
		}
		return a, n.follow(ctx, r, k, q)
	}
	return a, array.Errorf(array.NotFound, "array %s has no group that has to do with group %.40q of system %d", n.cfg.Name, q.Name, from)
}

// lead makes a copy the one that hosts use: its source gave it up at the point where it stands.
func (n *Node) lead(ctx context.Context, r running, k int, q far.Request) error {
	f := r.rec.Far[k]
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return err
	}
	half := slices.ContainsFunc(d.volumes(), d.marked)
	switch {
	case !f.Copy && !half && f.Done.tag() == q.Tag:
		// It was told before, or went on by itself from just that point.
		return n.leads(ctx, r, f)
	case !f.Copy && !half:
		return array.Errorf(array.Conflict, "group %s on array %s has gone on by itself", r.rec.Name, n.cfg.Name).Because(array.Served)
	case f.Done.tag() != q.Tag:
		return array.Errorf(array.Conflict, "group %s does not have the point at which it is to be taken over", r.rec.Name).Because(array.NotSynced)
	}
	if err := n.goOnAlone(ctx, r.rec.ID, f.Systems[0], nil); err != nil {
		return err
	}
	return n.leads(ctx, r, f)
}

// leads ends that a copy takes the place of its source.
func (n *Node) leads(ctx context.Context, r running, f Far) error {
	n.command.Lock()
	defer n.command.Unlock()
	_, now, err := n.describeFar(r.rec.ID, f.Systems[0])
	if err != nil || !now.Copy && !now.Parted {
		return err
	}
	if err := n.changeFar(ctx, r.rec.ID, f.Systems[0], func(f *Far) { f.Parted = false }); err != nil {
		return err
	}
	n.event(fmt.Sprintf("group %s was taken over from %s, which follows it", r.rec.Name, n.farName(f)))
	return nil
}

// follow makes a former source the copy of what was its copy. If they have a point in common
// that is where it goes back to, when the first pages come.
func (n *Node) follow(ctx context.Context, r running, k int, q far.Request) error {
	f := r.rec.Far[k]
	switch {
	case f.Copy && f.ID == q.Group:
		return nil // it was told before
	case f.Copy:
		return array.Errorf(array.Conflict, "group %s follows another group", r.rec.Name)
	case !f.Parted && !f.Stopped:
		return array.Errorf(array.Conflict, "group %s takes its copy for one that follows", r.rec.Name).Because(array.NotSynced)
	}
	if err := n.knownAs(q.Group, r.rec, f); err != nil {
		return err
	}
	if q.Tag == f.Pending.tag() && f.Pending != nil {
		n.command.Lock()
		err := n.pointDone(ctx, r.rec.ID, f.Systems[0], q.Tag)
		n.command.Unlock()
		if err != nil {
			return err
		}
	}
	return n.beginToFollowAs(ctx, r.rec.ID, f.Systems[0], q)
}

// beginToFollowAs is beginToFollow with what the group's new source says.
func (n *Node) beginToFollowAs(ctx context.Context, id array.GroupID, from array.SystemID, q far.Request) error {
	n.command.Lock()
	d, f, err := n.describeFar(id, from)
	if err == nil {
		err = n.unused(d)
	}
	if err == nil {
		var stale []VV
		for _, p := range []*FarPoint{f.Done, f.Pending} {
			if p.tag() == q.Tag {
				continue
			}
			for _, v := range d.pointOf(p) {
				stale = append(stale, v)
			}
		}
		err = n.changeDescription(ctx, id, func(t *store.Tx) error {
			g, err := n.strikePoint(t, id, stale)
			if err != nil {
				return err
			}
			return groupsPut(t, g.withFar(g.farWith(from), func(f *Far) {
				f.ID, f.Of, f.Pending = q.Group, d.ownOf(q.Of), nil
				if f.Done.tag() != q.Tag {
					f.Done = nil
				}
			}))
		}, keepAsItWas)
	}
	n.command.Unlock()
	if err != nil {
		return err
	}
	if err := n.beginToFollow(ctx, id, from, false, n.unused); err != nil {
		return err
	}
	n.warn(fmt.Sprintf("group %s follows group %s of %s from now on, as a person said there: what was written here after the point that both have is given up", d.Group.Name, q.Name, n.farName(f)))
	return nil
}
