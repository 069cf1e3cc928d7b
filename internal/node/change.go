// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// changeGroup changes what belongs to a group: the change is made in the store, the
// other array is asked whether it can follow, and if not, it is taken back.
func (n *Node) changeGroup(ctx context.Context, id array.GroupID, f func(*store.Tx) error) error {
	return n.changeGroupOr(ctx, id, f, func(*store.Tx) error { return nil })
}

// changeGroupOr does so where f changes more than the group: undo takes that back.
func (n *Node) changeGroupOr(ctx context.Context, id array.GroupID, f, undo func(*store.Tx) error) error {
	if err := n.noCopy(id); err != nil {
		return err
	}
	return n.changeDescription(ctx, id, f, undo)
}

// changeDescription does so whatever the group is.
func (n *Node) changeDescription(ctx context.Context, id array.GroupID, f, undo func(*store.Tx) error) error {
	old, err := n.describe(id)
	if err != nil {
		return err
	}
	served, err := n.mayChange(id)
	if err != nil {
		return err
	}
	heard := n.heardOf(old.Group)
	err = n.store.Update(func(t *store.Tx) error {
		if err := f(t); err != nil {
			return err
		}
		g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		return orElse(n.markUnheard(t, g, old.VVs, heard), groupsPut(t, g.changed(served)))
	})
	if err != nil {
		return err
	}
	now, err := n.described(id)
	if err != nil {
		return err
	}
	if !now.Group.Private && n.reachable() {
		_, err := n.ask(ctx, request{Take: &now})
		switch {
		case errors.As(err, new(unanswered)):
			// It may have followed or not. The change stands, and is told again.
			n.event(fmt.Sprintf("group %s was changed; the other array hears of it again, for it did not answer that all is done there: %v", now.Group.Name, err))
		case err != nil:
			back := old
			back.Group = now.Group.withContentOf(old.Group)
			if e := n.store.Update(func(t *store.Tx) error {
				if err := putDescription(t, now, back, missing(now.VVs, old.VVs)); err != nil {
					return err
				}
				return undo(t)
			}); e != nil {
				return fmt.Errorf("take back a change the other array refused: %w", e)
			}
			if e := n.apply(back, nil); e != nil {
				return fmt.Errorf("take back a change the other array refused: %w", e)
			}
			return err
		}
	}
	if err := n.apply(now, n.leftOver(old, now, missing(old.VVs, now.VVs))); err != nil {
		n.tellAgain(id) // which carries it out here, too, before
		return fmt.Errorf("group %s was changed, and not all of it is carried out on array %s yet: %w", now.Group.Name, n.cfg.Name, err)
	}
	return nil
}

// servesIn is how long a change of a group waits for it to be served here, and movesIn one that the
// other array serves: this array may not have heard yet that it was handed over. Other commands wait
// meanwhile.
const (
	servesIn = 3 * time.Second
	movesIn  = 300 * time.Millisecond
)

// mayChange refuses to change a group that is not served here: the array that
// serves it may be changing it too. It returns in which epoch and term it is.
func (n *Node) mayChange(id array.GroupID) (array.Position, error) {
	n.mu.RLock()
	r := n.groups[id]
	out, isOut := n.unopened[id]
	n.mu.RUnlock()
	if isOut {
		return array.Position{}, out.err()
	}
	if r == nil || r.rec.Private {
		return array.Position{}, nil
	}
	i, err := r.g.Info()
	// A group that was just made, or handed over, serves in a moment.
	for began := time.Now(); err == nil && !i.Serving && i.Record.Members.Has(i.Self); i, err = r.g.Info() {
		if waited := time.Since(began); waited > servesIn || waited > movesIn && n.elsewhere(r) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil && !i.Serving {
		why := ""
		if i.Reason != "" {
			why = " (" + i.Reason + ")"
		}
		where := "where it is served"
		if n.elsewhere(r) {
			where = "on array " + n.to().Name + ", which serves it"
		}
		err = array.Errorf(array.Conflict, "group %s is not served by array %s now%s: change it %s", r.rec.Name, n.cfg.Name, why, where).Because(array.ServedElsewhere)
	}
	return array.Position{Epoch: i.View.Epoch, Term: i.End.Term}, err
}

// whileServed does what a group refuses at a moment in which it is not served, and tries
// again as long as a change waits for that.
func whileServed(do func() error) error {
	end := time.Now().Add(servesIn)
	for {
		err := do()
		if array.KindOf(err) != array.Busy || time.Now().After(end) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// missing returns the volumes of a that are not in b.
func missing(a, b []VV) []VV {
	in := map[array.VolumeID]bool{}
	for _, v := range b {
		in[v.ID] = true
	}
	var m []VV
	for _, v := range a {
		if !in[v.ID] {
			m = append(m, v)
		}
	}
	return m
}

func idsOf(vvs []VV) []array.VolumeID {
	var ids []array.VolumeID
	for _, v := range vvs {
		ids = append(ids, v.ID)
	}
	return ids
}
