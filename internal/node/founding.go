// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// founding is a group that is to be made, with all that belongs to it from its first
// moment. It is stored here in one transaction, and then told to the other array, as
// every later change is: what comes between leaves a group that is whole here, and that
// the other array hears of when it answers.
type founding struct {
	d Description
	// from are volumes that exist, unwritten and on this array alone: they become the
	// group's, or stay what they are.
	from []VV
	// place is where it belongs, elsewhere what takes that back.
	place     newPlace
	elsewhere book
}

// newGroup is what a group is at first.
func (n *Node) newGroup(name, target, mode string) (RCGroup, error) {
	switch {
	case !validName(name) || len(name) > 22:
		return RCGroup{}, array.Errorf(array.Invalid, "group name %q: want 1 to 22 letters, digits, '.', '_' or '-'", name)
	case n.isFar(target):
		return RCGroup{}, array.Errorf(array.Invalid, "group %s: target %s is outside the pair: make the group with %s:sync, and 'admitrcopytarget %s periodic %s' then adds the copy there", name, target, n.targetName(), target, name).Because(array.NoTarget)
	case !n.paired() || target != n.to().Name:
		return RCGroup{}, array.Errorf(array.NotFound, "group %s: target %q does not exist: want %s", name, target, n.targetName()).Because(array.NoTarget)
	case mode != modeSync && mode != modePeriodic:
		return RCGroup{}, array.Errorf(array.Invalid, "mode %q: want sync or periodic", mode).Because(array.NoMode)
	case !n.reachable():
		return RCGroup{}, array.Errorf(array.Unavailable, "target %s does not answer", target).Because(array.TargetSilent)
	}
	g := RCGroup{
		Name: name, Home: n.cfg.SystemID, Version: 1, Change: nonce(), Founding: nonce(), Founder: n.side(),
		Policies: Policies{AutoFailover: true, PathManagement: true, AutoRecover: true, AutoSynchronize: true},
	}
	if mode == modePeriodic {
		g.Period, g.Policies = defaultPeriod, Policies{AutoRecover: true, OverPeriodAlert: true}
	}
	return g, nil
}

// number gives the group and its volumes their ids.
func (f *founding) number(n *Node) error {
	return n.store.Update(func(t *store.Tx) error {
		if err := tables.groups.With(t, byGroupName, f.d.Group.Name, func(_ string, o RCGroup) error {
			if !o.Private {
				return array.Errorf(array.Exists, "Remote Copy group %s exists already", o.Name).Because(array.GroupExists)
			}
			return nil
		}); err != nil {
			return err
		}
		id, err := n.nextID(t)
		if err != nil {
			return err
		}
		f.d.Group.ID = array.MakeGroupID(n.cfg.SystemID, id)
		for i, v := range f.from {
			if id, err = n.nextID(t); err != nil {
				return err
			}
			v.ID, v.Group = array.MakeVolumeID(n.cfg.SystemID, id), f.d.Group.ID
			f.d.VVs = append(f.d.VVs, v)
			for k := range f.d.VLUNs {
				if f.d.VLUNs[k].Volume == f.from[i].ID {
					f.d.VLUNs[k].Volume = v.ID
				}
			}
		}
		return nil
	})
}

// found makes the group on both arrays, or on none.
func (n *Node) found(ctx context.Context, f *founding) error {
	if err := f.number(n); err != nil {
		return err
	}
	g := f.d.Group
	f.d.Record = arb.Stored{Current: arb.First(g.Founder, g.Founding)}.Marshal()
	if n.paired() { // else it is a far copy, on this array alone
		if _, err := n.ask(ctx, request{Check: &f.d}); err != nil {
			return err
		}
	}
	if err := n.store.Update(func(t *store.Tx) error { return f.store(t) }); err != nil {
		return err
	}
	err := n.openFounded(f)
	told := err == nil && n.paired()
	if told {
		var places *book
		if places, err = n.placesOf(keyOf(groupKind, g.Name)); err == nil {
			_, err = n.ask(ctx, request{Take: &f.d, Book: places})
		}
		if errors.As(err, new(unanswered)) && !errors.As(err, new(unfinished)) {
			n.event(fmt.Sprintf("group %s was made; array %s did not answer and hears of it when it does", g.Name, n.to().Name))
			err = nil
		}
	}
	if err == nil {
		return n.exports.renew(g.ID)
	}
	return errors.Join(err, n.unfound(context.WithoutCancel(ctx), f, told))
}

// unfound takes back what found did. The other array may have stored the group before
// something went wrong there: it is told to drop it until it has answered.
func (n *Node) unfound(ctx context.Context, f *founding, told bool) error {
	id := f.d.Group.ID
	d, err := n.describe(id)
	if err != nil {
		return err
	}
	n.closeGroup(id)
	var groups []RCGroup
	var vvs []VV
	err = n.store.Update(func(t *store.Tx) error {
		groups, vvs = nil, nil
		if err := strike(t, d); err != nil {
			return err
		}
		for _, v := range f.from {
			g, v, err := n.putPrivate(t, v)
			if err != nil {
				return err
			}
			groups, vvs = append(groups, g), append(vvs, v)
		}
		if err := f.elsewhere.takeBack(t); err != nil || !told {
			return err
		}
		return tables.undropped.Put(t, store.Key(uint64(id)), struct{}{})
	})
	if err != nil {
		return err
	}
	errs := []error{n.finishDrop(id)}
	for i, g := range groups {
		_, err := n.openGroup(g, vvs[i:i+1])
		errs = append(errs, err)
	}
	errs = append(errs, n.exports.renew(id))
	if told {
		if err := n.dropThere(ctx, id); err != nil && !errors.As(err, new(unanswered)) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dropThere lets the other array drop a group that could not be founded.
func (n *Node) dropThere(ctx context.Context, id array.GroupID) error {
	if _, err := n.ask(ctx, request{Drop: id}); err != nil {
		return err
	}
	return n.store.Update(func(t *store.Tx) error { return tables.undropped.Delete(t, store.Key(uint64(id))) })
}

// tellDrops does so for all groups of which it has not answered. refused is what it said of
// those that it does not drop.
func (n *Node) tellDrops(ctx context.Context, refused map[string]string) {
	var ids []array.GroupID
	if err := n.store.View(func(t *store.Tx) error {
		return tables.undropped.Each(t, func(key string, _ struct{}) error {
			ids = append(ids, array.GroupID(binary.BigEndian.Uint64([]byte(key))))
			return nil
		})
	}); err != nil {
		n.event("look for groups that the other array is to drop: " + err.Error())
	}
	for _, id := range ids {
		err := n.dropThere(ctx, id)
		if err == nil || errors.As(err, new(unanswered)) {
			continue
		}
		if key, text := fmt.Sprintf("group %v", id), err.Error(); refused[key] != text {
			refused[key] = text
			n.warn(fmt.Sprintf("group %v could not be made, and the other array does not drop its part of it: %s", id, text))
		}
	}
}

// store is what found changes in this array's tables.
func (f *founding) store(t *store.Tx) (err error) {
	if f.elsewhere, err = f.place.put(t); err != nil {
		return err
	}
	for _, v := range f.from {
		if err := giveWay(t, v); err != nil {
			return err
		}
	}
	for _, v := range f.d.VVs {
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	for _, l := range f.d.VLUNs {
		if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
			return err
		}
	}
	if err := putFirst(t, f.d.Group); err != nil {
		return err
	}
	return checkVLUNs(t, f.d.VLUNs)
}

// giveWay takes an un-mirrored volume out of all tables: it becomes a group's.
func giveWay(t *store.Tx, v VV) error {
	if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
		return err
	}
	if err := tables.remains.Put(t, store.Key(uint64(v.Group)), remains{v.Group, []VV{v}, true}); err != nil {
		return err
	}
	return tables.groups.Delete(t, store.Key(uint64(v.Group)))
}

// openFounded puts the group in the place of the volumes it was made from. No host sees it
// yet: what hosts wrote could not be taken back.
func (n *Node) openFounded(f *founding) error {
	for _, v := range f.from {
		n.closeGroup(v.Group)
		if err := n.finishDrop(v.Group); err != nil {
			return err
		}
	}
	_, err := n.startGroup(f.d.Group, f.d.VVs)
	return err
}
