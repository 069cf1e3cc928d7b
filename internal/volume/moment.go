// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// ChangedAt is Volume.ChangedSince of a snapshot: it calls fn for the pages from page from
// on that it shows and that were born after place p, in order, until it returns false; and
// with birth 0 for one page now and then that was not.
func (p *Pool) ChangedAt(snap array.VolumeID, after array.Place, from int64, fn func(page int64, birth array.Place) bool) error {
	v := p.Volume(snap)
	if v == nil || v.snap == nil {
		return fmt.Errorf("changed pages of snapshot %s: %w", snap, array.Errorf(array.NotFound, "no such snapshot"))
	}
	type found struct {
		page  int64
		birth array.Place
	}
	for more := true; more; { // in steps, so that no long transaction pins the map
		var step []found
		var bad error
		more = false
		looked, start, shape := 0, from, p.shape.Load()
		err := p.db.View(func(tx *bolt.Tx) error {
			path := v.path()
			err := eachKnown(tx, path, start, 1<<62, func(page int64) bool {
				var e entry
				if e, bad = find(tx, path, page, false); bad != nil {
					return false
				}
				if e.birth > after {
					step = append(step, found{page, e.birth})
				}
				from = page + 1
				looked++
				more = len(step) == 4096 || looked == lookAt
				return !more
			})
			if err == nil {
				err = bad
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("changed pages of snapshot %s: %w", snap, err)
		}
		if p.shape.Load() != shape { // the path was of other snapshots than the transaction
			from, more = start, true
			continue
		}
		if looked == lookAt && len(step) == 0 {
			step = append(step, found{page: from - 1})
		}
		for _, f := range step {
			if !fn(f.page, f.birth) {
				return nil
			}
		}
	}
	return nil
}

// PageAt is Volume.ReadPage of a snapshot.
func (p *Pool) PageAt(snap array.VolumeID, page int64, dst []byte) (array.Place, error) {
	v := p.Volume(snap)
	if v == nil || v.snap == nil {
		return 0, fmt.Errorf("read a page of snapshot %s: %w", snap, array.Errorf(array.NotFound, "no such snapshot"))
	}
	return v.ReadPage(page, dst)
}

// BirthPut returns the birth of a page that a resync has brought, 0 if it has not.
func (p *Pool) BirthPut(id array.VolumeID, page int64) (array.Place, error) {
	v := p.Volume(id)
	if v == nil {
		return 0, fmt.Errorf("look for a page of volume %s: %w", id, array.Errorf(array.NotFound, "no such volume"))
	}
	return v.ResyncBirth(page)
}

// Drop removes snapshots, those that there are. One that is still to be made is made first.
func (p *Pool) Drop(g array.GroupID, snaps ...array.VolumeID) error {
	if err := p.Flush(g); err != nil {
		return err
	}
	for _, id := range snaps {
		if v := p.Volume(id); v == nil || v.snap == nil {
			continue
		}
		if err := p.Remove(id); err != nil {
			return err
		}
	}
	return nil
}

// Short reports whether there is so little room left that nothing should be held that
// hosts don't need.
func (p *Pool) Short() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free() < p.units.limit/16
}

// Forsake removes the snapshots that a group's volumes have of after a place, and forgets
// that there were any: the group goes on from there in another way, and gives these places
// anew. One that a volume was made from is in the way.
func (p *Pool) Forsake(g array.GroupID, after array.Place) error {
	if err := p.Flush(g); err != nil {
		return err
	}
	for _, v := range p.members(g) {
		if v.snap != nil && v.snap.place > after {
			if err := p.Remove(v.id); err != nil {
				return err
			}
		}
	}
	p.single.Lock()
	defer p.single.Unlock()
	for _, v := range p.members(g) {
		s := v.Spec()
		if s.Frozen <= after {
			continue
		}
		s.Frozen = after
		if err := p.edit(func(e *edit) error { return putJSON(e.tx, volumeBucket, uint64(v.id), s) }); err != nil {
			return fmt.Errorf("forsake snapshots of volume %s: %w", v.id, err)
		}
		v.mu.Lock()
		v.spec.Frozen = after
		v.mu.Unlock()
	}
	return nil
}
