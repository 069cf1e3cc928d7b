// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// The way back from what founds does: the only volume of a group leaves it and stays, with
// its data, snapshots, exports and WWN, on the array that serves it; its group becomes a
// private one, and a new group without volumes takes the name. The other array's copy goes.

// staysAlone takes v out of group r and keeps it here.
func (n *Node) staysAlone(ctx context.Context, v VV, r *running) error {
	b, err := n.leaving(v, r)
	if err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error {
		id, err := n.nextID(t)
		b.empty.ID = array.MakeGroupID(n.cfg.SystemID, id)
		return err
	}); err != nil {
		return err
	}
	if n.paired() { // else the group was a copy of another array's
		if err := n.dropOnOther(ctx, r); err != nil {
			return err
		}
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	b.last = i.Record
	if err := n.makePrivate(b); err != nil {
		return errors.Join(err, n.putBack(b))
	}
	if p := n.other(); p != nil {
		if err := p.ForgetRegister(ctx, b.alone.Group.ID); err != nil {
			n.event(fmt.Sprintf("volume %s left group %s, but the witness keeps a register of both: %v", v.Name, b.empty.Name, err))
		}
	}
	if _, err := n.openGroup(b.empty, nil); err != nil {
		return fmt.Errorf("volume %s left group %s, and the group itself, without volumes, is not open: %w", v.Name, b.empty.Name, err)
	}
	if !n.paired() {
		return nil
	}
	d := Description{Group: b.empty, Record: arb.Stored{Current: arb.First(b.empty.Founder, b.empty.Founding)}.Marshal()}
	if _, err := n.ask(ctx, request{Take: &d}); err != nil { // it is told again
		n.event(fmt.Sprintf("group %s has no volumes; array %s hears of it later: %v", b.empty.Name, n.to().Name, err))
	}
	return nil
}

// leaving says what becomes of v's group, or what is in the way.
func (n *Node) leaving(v VV, r *running) (*becoming, error) {
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return nil, err
	}
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return nil, err
	}
	if len(d.Group.Far) > 0 {
		return nil, array.Errorf(array.Conflict, "group %s has to do with target %s: 'dismissrcopytarget' ends that first", d.Group.Name, n.farName(d.Group.Far[0]))
	}
	switch {
	case v.Copy.underWay() || v.Taking != 0:
		return nil, array.Errorf(array.Conflict, "volume %s is being made a copy: wait for that, or 'createvvcopy -halt' it", v.Name).Because(array.Copied)
	case n.paired() && !n.reachable():
		return nil, array.Errorf(array.Unavailable, "array %s does not answer: it would keep its copy of volume %s", n.to().Name, v.Name).Because(array.TargetSilent)
	}
	b := &becoming{v: v, alone: d, d: d, empty: d.Group, ran: r}
	b.alone.Group = RCGroup{
		ID: d.Group.ID, Name: v.Name, Home: n.cfg.SystemID, Private: true, Version: d.Group.Version + 1, Founding: nonce(), Founder: array.SideA,
		Gone: d.Group.Gone, GoneSnaps: d.Group.GoneSnaps,
		Epoch: d.Group.Epoch, Term: d.Group.Term, // what is told when it is a group again comes after these
	}
	b.empty = RCGroup{
		Name: d.Group.Name, Home: d.Group.Home, Policies: d.Group.Policies, Period: d.Group.Period, Near: d.Group.Near,
		Version: 1, Change: nonce(), Founding: nonce(), Founder: n.side(),
		Replaces: d.Group.Replaces, // the other array may not have heard of what comes between
	}
	return b, nil
}

// makePrivate makes the group a private one. The same change stores the one that has its name
// from now on: an array that dies then, or is not heard, has lost no group.
func (n *Node) makePrivate(b *becoming) error {
	if err := n.retire(b.d.Group.ID, b.v.Name); err != nil {
		return err
	}
	for _, v := range b.d.VVs {
		if p := n.cpgs[v.CPG]; v.Of == 0 && p != nil {
			if err := removePoints(p, v.ID); err != nil {
				return err
			}
		}
	}
	k := keep{n.store}
	for _, name := range []string{"doubted", "points", "turn", "shadow"} {
		if err := k.Drop(b.d.Group.ID, name); err != nil {
			return err
		}
	}
	if err := n.store.Update(func(t *store.Tx) error {
		if err := groupAlone(t, b.alone.Group, b.last); err != nil {
			return err
		}
		return putFirst(t, b.empty)
	}); err != nil {
		return err
	}
	if _, err := n.startGroup(b.alone.Group, b.d.VVs); err != nil {
		return err
	}
	return n.exports.rebuild()
}

// putBack makes it the group again that it was; its copy on the other array is made anew.
func (n *Node) putBack(b *becoming) error {
	n.tellAgain(b.d.Group.ID)
	n.mu.RLock()
	open := n.groups[b.d.Group.ID] != nil
	n.mu.RUnlock()
	if open { // it never was anything else
		return b.ran.g.SetStopped(b.ran.rec.Stopped)
	}
	d := b.d
	d.Group.Version, d.Group.Change, d.Group.Founder, d.Group.Founding = b.alone.Group.Version+1, nonce(), n.side(), nonce()
	err := n.store.Update(func(t *store.Tx) error {
		if err := strike(t, Description{Group: b.empty}); err != nil {
			return err
		}
		return groupAlone(t, d.Group, after(b.last, b.alone.Group))
	})
	if err != nil {
		return fmt.Errorf("take back that volume %s leaves group %s: %w", b.v.Name, d.Group.Name, err)
	}
	if err := n.finishDrop(b.empty.ID); err != nil {
		return err
	}
	return n.reopen(d)
}
