// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A volume that came to a group in a command may be unknown to the other array, if that did not
// answer. While it may be, nothing is written to it (see package group), also after a restart: so it
// is marked in the transaction that adds it, and the mark goes when the arrays are alike.

const unheardFact = "unheard"

// heardOf reports whether the other array has what a group is.
func (n *Node) heardOf(g RCGroup) bool {
	r := n.running(g.ID)
	if r == nil || g.Private {
		return false
	}
	i, err := r.g.Info()
	return err == nil && i.Alike && i.Change == g.Change
}

// markUnheard marks the volumes of a group that a change added to those it had, of which the other
// array has heard or not.
func (n *Node) markUnheard(t *store.Tx, g RCGroup, had []VV, heard bool) error {
	if g.Private || !n.paired() {
		return nil
	}
	var before []array.VolumeID
	if !heard {
		var err error
		if before, err = unheardIn(t, g.ID); err != nil {
			return err
		}
	}
	known := map[array.VolumeID]bool{}
	for _, v := range had {
		known[v.ID] = true
	}
	var marks []array.VolumeID
	news := false
	if err := tables.vvs.With(t, byGroup, store.Key(uint64(g.ID)), func(_ string, v VV) error {
		is := !known[v.ID]
		if news = news || is; is || slices.Contains(before, v.ID) {
			marks = append(marks, v.ID)
		}
		return nil
	}); err != nil || !news {
		return err
	}
	if r := n.running(g.ID); r != nil {
		r.unheard.Store(true)
	}
	value, err := json.Marshal(marks)
	if err != nil {
		return fmt.Errorf("mark the volumes of which the other array has not heard: %w", err)
	}
	return tables.facts.Put(t, factKey(g.ID, unheardFact), small{value})
}

func unheardIn(t *store.Tx, id array.GroupID) (marked []array.VolumeID, err error) {
	fact, ok, err := tables.facts.Get(t, factKey(id, unheardFact))
	if err != nil || !ok {
		return nil, err
	}
	if err := json.Unmarshal(fact.Value, &marked); err != nil {
		return nil, fmt.Errorf("read the marks of volumes of which the other array has not heard: %w", err)
	}
	return marked, nil
}

// unheardOf returns the marked volumes of a group.
func (n *Node) unheardOf(g RCGroup) (marked []array.VolumeID, err error) {
	if g.Private {
		return nil, nil
	}
	err = n.store.View(func(t *store.Tx) error {
		marked, err = unheardIn(t, g.ID)
		return err
	})
	return marked, err
}

// forgetHeard takes the marks away of groups of which the other array has all.
func (n *Node) forgetHeard() error {
	alike := map[array.GroupID]uint64{}
	for _, r := range n.shared() {
		if !r.unheard.Load() {
			continue
		}
		if i, err := r.g.Info(); err == nil && i.Alike {
			r.unheard.Store(false) // before it is looked at: a change from now on sets it again
			alike[r.rec.ID] = i.Change
		}
	}
	if len(alike) == 0 {
		return nil
	}
	var later []array.GroupID
	err := n.store.Update(func(t *store.Tx) error {
		for id, change := range alike {
			g, ok, err := tables.groups.Get(t, store.Key(uint64(id)))
			switch {
			case err != nil:
				return err
			case ok && g.Change != change: // it is being changed
				later = append(later, id)
			default:
				if err := tables.facts.Delete(t, factKey(id, unheardFact)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		later = slices.Collect(maps.Keys(alike))
		err = fmt.Errorf("forget that the other array had not heard of volumes: %w", err)
	}
	for _, id := range later {
		if r := n.running(id); r != nil {
			r.unheard.Store(true)
		}
	}
	return err
}

// learn asks for the description of a group that this array is to serve and can't, because its
// log speaks of a volume that it never heard of: the other array serves it no more, and so tells
// nothing by itself.
func (n *Node) learn(ctx context.Context, id array.GroupID) error {
	text, err := n.askWithin(ctx, pushWithin, request{Give: id})
	if err != nil {
		return err
	}
	var d Description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return fmt.Errorf("read the other array's description of group %v: %w", id, err)
	}
	return n.take(d, nil)
}
