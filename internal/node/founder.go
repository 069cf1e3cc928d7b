// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A volume that hosts have written to keeps its order of writes, which is that of its
// private group. So it can't be put into the order of other volumes; but its own group can
// be given to two arrays. That is what admits it into a group that has no volumes yet: the
// private group takes the empty one's name, mode, policies and proximities, and goes on with
// another array beside it, to which all is copied. The volume, its exports and what hosts
// reserved stay; hosts are held for as long as what is under way takes to end.

// becoming is a private group on its way to be a Remote Copy group.
type becoming struct {
	v     VV
	alone Description // the private group, as it was
	empty RCGroup     // the group whose place it takes
	d     Description // what it becomes
	last  arb.Record  // the newest one so far
	ran   *running    // the empty group's half here, which runs until all is done
}

// founds makes v the first volume of group r, with all it holds.
func (n *Node) founds(ctx context.Context, v VV, r *running) error {
	b, err := n.becoming(ctx, v, r)
	if err != nil {
		return err
	}
	if err := n.notJoining(v); err != nil {
		return err
	}
	if _, err := n.ask(ctx, request{Check: &b.d}); err != nil {
		return err
	}
	if err := n.retire(v.Group, v.Name); err != nil {
		return errors.Join(err, n.reopen(b.alone))
	}
	if err := n.become(b); err != nil {
		return errors.Join(err, n.unbecome(b))
	}
	// From here on hosts write in the group, which this array alone decides: it stays, whatever
	// the other array says, which is told again until it takes it.
	_, err = n.ask(ctx, request{Take: &b.d})
	switch gone := n.emptyGone(ctx, b); {
	case gone != nil:
		return errors.Join(err, gone)
	case errors.As(err, new(unanswered)):
		n.event(fmt.Sprintf("group %s has its first volume; array %s did not answer and hears of it when it does", b.empty.Name, n.to().Name))
	case err != nil:
		return fmt.Errorf("volume %s is in group %s, and array %s does not take it yet ('dismissrcopyvv -f -keepvv %s %s' takes it out again): %w", v.Name, b.empty.Name, n.to().Name, v.Name, b.empty.Name, err)
	}
	return nil
}

// becoming says what v's group becomes, or what is in the way.
func (n *Node) becoming(ctx context.Context, v VV, r *running) (*becoming, error) {
	at, err := n.mayChange(r.rec.ID)
	if err != nil {
		return nil, err
	}
	empty, err := n.describe(r.rec.ID)
	if err != nil {
		return nil, err
	}
	alone, err := n.describe(v.Group)
	switch {
	case err != nil:
		return nil, err
	case len(empty.VVs) > 0:
		return nil, array.Errorf(array.Conflict, "group %s has volumes: volume %s can't be its first", r.rec.Name, v.Name).Because(array.NotEmpty)
	case len(empty.Schedules) > 0:
		return nil, array.Errorf(array.Conflict, "group %s has the schedule %s: removesched it first", r.rec.Name, empty.Schedules[0].Name).Because(array.Scheduled)
	case slices.ContainsFunc(empty.Group.Far, func(f Far) bool { return f.ID != 0 }):
		return nil, array.Errorf(array.Conflict, "group %s had other volumes, of which a target has periodic copies: 'dismissrcopytarget' it, and admit it again after volume %s", r.rec.Name, v.Name)
	case v.Of != 0:
		return nil, array.Errorf(array.Invalid, "%s is a snapshot, which is protected with its volume", v.Name).Because(array.IsSnapshot)
	case v.Base != 0:
		return nil, array.Errorf(array.Conflict, "volume %s was made from a snapshot, which the other array may not have", v.Name).Because(array.HasSnapshots)
	case len(alone.VVs) > 1:
		return nil, array.Errorf(array.Conflict, "volume %s has snapshots, which the other array can't have: remove them first", v.Name).Because(array.HasSnapshots)
	case v.Copy.underWay() || v.Taking != 0:
		return nil, array.Errorf(array.Conflict, "volume %s is being made a copy: wait for that, or 'createvvcopy -halt' it", v.Name).Because(array.Copied)
	case !n.reachable():
		return nil, array.Errorf(array.Unavailable, "target %s does not answer", n.to().Name).Because(array.TargetSilent)
	case n.other().Restored():
		return nil, array.Errorf(array.Conflict, "array %s was put back from a copy of its disks, and doubts what it has until it is started anew: volume %s would not be served", n.cfg.Name, v.Name)
	}
	i, err := n.infoOf(v.Group)
	if err != nil {
		return nil, err
	}
	g := empty.Group
	g.ID, g.Replaces, g.Founding, g.Founder = v.Group, empty.Group.ID, nonce(), n.side()
	g.Version, g.Change, g.Epoch, g.Term = alone.Group.Version+1, nonce(), max(at.Epoch, i.View.Epoch, alone.Group.Epoch), max(at.Term, i.End.Term, alone.Group.Term)
	b := &becoming{v: v, alone: alone, empty: empty.Group, d: alone}
	b.d.Group = g
	b.last = i.Record
	b.d.Record = arb.Stored{Current: after(b.last, g)}.Marshal()
	return b, ctx.Err()
}

// retire closes a group when what is under way in it has ended, with all of it on pages: it
// is opened anew, and would else apply from the journal what the pools have applied, while
// they put that on pages. Hosts' commands that come meanwhile wait; what they ask a closed
// group is answered BUSY.
func (n *Node) retire(id array.GroupID, name string) error {
	r := n.running(id)
	if r == nil {
		return array.Errorf(array.Internal, "volume %s is not open", name)
	}
	if err := r.pages.Flush(id); err != nil { // most of it, while hosts go on
		return fmt.Errorf("put volume %s on pages: %w", name, err)
	}
	if err := r.g.Retire(); err != nil {
		return err
	}
	n.closeGroup(id)
	if err := r.pages.Flush(id); err != nil {
		return fmt.Errorf("put volume %s on pages: %w", name, err)
	}
	return nil
}

// become stores the change and opens the group anew. A crash after the store finds the group
// changed, and what is left of the empty one is removed when the array starts.
func (n *Node) become(b *becoming) error {
	err := n.store.Update(func(t *store.Tx) error {
		if err := groupAlone(t, b.d.Group, b.last); err != nil {
			return err
		}
		if err := tables.remains.Put(t, store.Key(uint64(b.empty.ID)), remains{Group: b.empty.ID}); err != nil {
			return err
		}
		return tables.groups.Delete(t, store.Key(uint64(b.empty.ID)))
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	if b.ran = n.groups[b.empty.ID]; b.ran != nil {
		n.aside[b.empty.ID] = b.ran
	}
	delete(n.groups, b.empty.ID)
	n.wakeList()
	n.mu.Unlock()
	if _, err := n.startGroup(b.d.Group, b.d.VVs); err != nil {
		return err
	}
	if err := n.exports.rebuild(); err != nil {
		n.warn(fmt.Sprintf("group %s: %v", b.empty.Name, err)) // hosts are told BUSY until the next change
	}
	return nil
}

// unbecome puts back what become stored, after the group could not be opened as what it is to
// be: it never ran so.
func (n *Node) unbecome(b *becoming) error {
	err := n.store.Update(func(t *store.Tx) error {
		if err := groupAlone(t, b.alone.Group, after(b.last, b.d.Group)); err != nil {
			return err
		}
		if err := groupsPut(t, b.empty); err != nil {
			return err
		}
		return tables.remains.Delete(t, store.Key(uint64(b.empty.ID)))
	})
	if err != nil {
		return fmt.Errorf("take back that volume %s is the first of group %s: %w", b.v.Name, b.empty.Name, err)
	}
	if b.ran != nil {
		ran := *b.ran
		ran.rec = b.empty
		n.mu.Lock()
		n.groups[b.empty.ID] = &ran
		delete(n.aside, b.empty.ID)
		n.wakeList()
		n.mu.Unlock()
	}
	return n.reopen(b.alone)
}

// reopen opens a group that retire closed, or left as it is. Where not all of it is on pages it
// can't be opened before the array is started anew.
func (n *Node) reopen(d Description) error {
	n.mu.RLock()
	open := n.groups[d.Group.ID] != nil
	n.mu.RUnlock()
	if open {
		return nil
	}
	for _, p := range n.cpgs {
		if err := p.Flush(d.Group.ID); err != nil {
			n.leaveOut(d.Group, fmt.Errorf("what was written last is not on pages; start the array anew: %w", err))
			return err
		}
	}
	_, err := n.openGroup(d.Group, d.VVs)
	return errors.Join(err, n.exports.rebuild())
}

// after is the record by which this array alone decides a group, as the side that it is from
// now on, and after which nothing counts that was before: the order begins a new epoch. An
// array that once had the group, and lost it, knows older ones.
func after(last arb.Record, g RCGroup) arb.Record {
	r := arb.First(g.Founder, g.Founding)
	r.Lineage, r.Seq, r.Epoch = last.Lineage, last.Seq+1, last.Epoch+1
	return r
}

// groupAlone stores a group with the record after the last.
func groupAlone(t *store.Tx, g RCGroup, last arb.Record) error {
	if err := groupsPut(t, g); err != nil {
		return err
	}
	return tables.facts.Put(t, g.ID.String()+"/membership", small{arb.Stored{Current: after(last, g)}.Marshal()})
}

// emptyGone removes the group whose place was taken.
func (n *Node) emptyGone(ctx context.Context, b *becoming) error {
	p := n.other()
	if b.ran != nil {
		if p != nil {
			p.Remove(b.empty.ID)
		}
		b.ran.g.Close()
		n.mu.Lock()
		delete(n.aside, b.empty.ID)
		n.mu.Unlock()
	}
	if err := n.finishDrop(b.empty.ID); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	if err := p.ForgetRegister(ctx, b.empty.ID); err != nil {
		n.event(fmt.Sprintf("the witness keeps a register of what was group %s without volumes: %v", b.empty.Name, err))
	}
	return nil
}

// dropReplaced removes the group without volumes whose place one that the other array
// describes has taken.
func (n *Node) dropReplaced(d Description) error {
	if d.Group.Replaces == 0 {
		return nil
	}
	old, err := n.describe(d.Group.Replaces)
	if err != nil || len(old.VVs) > 0 || old.Group.Private {
		return nil // it is gone, or is what the other array does not take it for
	}
	return n.dropGroup(old.Group.ID)
}
