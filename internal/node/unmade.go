// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// A snapshot's name is taken before the entry that makes it. An array that dies between
// leaves a name of nothing, which the array that serves the group takes back once both are
// up again. A snapshot that one array has is not touched: the other one missed it.

// unmadeEvery is how often names are looked at again that could not be decided.
const unmadeEvery = time.Second

// lackQuestion asks the other array which snapshots of a group it has not.
type lackQuestion struct {
	Group array.GroupID    `json:"group"`
	IDs   []array.VolumeID `json:"ids"`
}

// lacks answers it, with a bit of each snapshot that is not here.
func (n *Node) lacks(q lackQuestion) ([]byte, error) {
	if len(q.IDs) > group.MaxSnapshots {
		return nil, array.Errorf(array.Invalid, "%d snapshots: want at most %d", len(q.IDs), group.MaxSnapshots)
	}
	if err := n.flushGroup(q.Group); err != nil {
		return nil, err
	}
	bits := make([]byte, (len(q.IDs)+7)/8)
	for i, id := range q.IDs {
		if !n.onPages(id) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits, nil
}

func (n *Node) onPages(id array.VolumeID) bool {
	for _, p := range n.cpgs {
		if p.Volume(id) != nil {
			return true
		}
	}
	return false
}

// flushGroup puts all that was applied to a group on pages.
func (n *Node) flushGroup(id array.GroupID) error {
	r := n.running(id)
	if r == nil {
		return array.Errorf(array.Unavailable, "group %v is not open on array %s", id, n.cfg.Name)
	}
	return r.pages.Flush(id)
}

// watchUnmade takes back names of snapshots that were not made, after a start and whenever
// the other array answers again.
func (n *Node) watchUnmade(ctx context.Context) {
	n.unmade.Store(true)
	for pause(ctx, unmadeEvery) {
		if !n.unmade.Swap(false) {
			continue
		}
		by, err := n.awaited()
		if err != nil {
			n.event("look for snapshots that were not made: " + err.Error())
		}
		for id, vvs := range by {
			done, err := n.takeBackUnmade(ctx, id, vvs)
			if err != nil {
				n.log.Info("take back names of snapshots that were not made", "group", id, "err", err)
			}
			if !done {
				n.unmade.Store(true)
			}
		}
	}
}

// awaited are the snapshots that are not here, by group.
func (n *Node) awaited() (map[array.GroupID][]VV, error) {
	by := map[array.GroupID][]VV{}
	err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byWatch, watchSnapshot, func(_ string, v VV) error {
			if n.awaits(v) && len(by[v.Group]) < group.MaxSnapshots {
				by[v.Group] = append(by[v.Group], v)
			}
			return nil
		})
	})
	return by, err
}

// takeBackUnmade does so for a group. It reports whether that is decided.
func (n *Node) takeBackUnmade(ctx context.Context, id array.GroupID, vvs []VV) (done bool, err error) {
	if !n.command.TryLock() { // which may be making one
		return false, nil
	}
	defer n.command.Unlock()
	i, err := n.infoOf(id)
	if err != nil {
		return array.KindOf(err) == array.NotFound, err
	}
	if !i.Serving {
		return i.Record.Members.Has(i.Self.Other()) && i.Owner != i.Self, nil // the other array's to decide
	}
	if i.Commit != i.End.Place || i.Applied != i.Commit {
		return false, nil
	}
	if err := n.flushGroup(id); err != nil {
		return false, err
	}
	lost := vvs[:0]
	for _, v := range vvs {
		if n.awaits(v) {
			lost = append(lost, v)
		}
	}
	if n.shares(id) && len(lost) > 0 {
		if !i.Synced || !i.Contact {
			return false, nil
		}
		q := lackQuestion{Group: id}
		for _, v := range lost {
			q.IDs = append(q.IDs, v.ID)
		}
		r, err := n.answered(ctx, askWithin, request{Lacks: &q})
		if err != nil {
			return false, err
		}
		neither := lost[:0]
		for k, v := range lost {
			if k/8 < len(r.Bits) && r.Bits[k/8]&(1<<(k%8)) != 0 {
				neither = append(neither, v)
			}
		}
		lost = neither
	}
	if len(lost) == 0 {
		return true, nil
	}
	if err := n.removeVVs(ctx, id, lost); err != nil {
		return false, err
	}
	for _, v := range lost {
		n.event(fmt.Sprintf("snapshot %s was named and not made, since an array stopped meanwhile: its name is free again", v.Name))
	}
	return true, nil
}
