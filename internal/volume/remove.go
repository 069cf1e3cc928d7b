// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// Remove takes a volume or a snapshot away, durably. What nobody else shows is given
// back. A volume with snapshots, and a snapshot that volumes were made from, stay.
func (p *Pool) Remove(id array.VolumeID) error {
	return p.RemoveWith(id, func(array.VolumeID) bool { return false })
}

// RemoveWith does so of a volume together with those of its snapshots that nobody wants any
// more: one that was given up before it was on pages is not made for that, for which a full
// pool may have no room.
func (p *Pool) RemoveWith(id array.VolumeID, unwanted func(snapshot array.VolumeID) bool) error {
	p.single.Lock()
	defer p.single.Unlock()
	v := p.Volume(id)
	if v == nil {
		return fmt.Errorf("remove volume: %w", array.Errorf(array.NotFound, "no volume %s", id))
	}
	given, err := p.needed(v, unwanted)
	if err != nil {
		return fmt.Errorf("remove volume %s: %w", id, err)
	}
	for _, s := range append(given, v) {
		if err := p.remove(s); err != nil {
			return fmt.Errorf("remove volume %s: %w", s.id, err)
		}
	}
	return nil
}

// remove does so of what nobody needs. p.single is held.
func (p *Pool) remove(v *Volume) error {
	s := v.Spec()
	s.Removing = true
	if err := p.edit(func(e *edit) error { return putJSON(e.tx, volumeBucket, uint64(v.id), s) }); err != nil {
		return err
	}
	v.mu.Lock()
	v.gone, v.spec = true, s
	v.turn++
	v.clear(0, 1<<62, everything)
	v.mu.Unlock()
	p.mu.Lock()
	delete(p.volumes, v.id)
	delete(p.full, v.id)
	p.recount()
	p.mu.Unlock()
	return p.erase(v)
}

// needed says why a volume can't be removed, or which snapshots go with it.
func (p *Pool) needed(v *Volume, unwanted func(array.VolumeID) bool) (given []*Volume, err error) {
	wanted := 0
	v.mu.RLock()
	for _, l := range v.sealed {
		if l.snap != nil && !unwanted(l.snap.ID) {
			wanted++
		}
	}
	v.mu.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.chains[v.id] {
		if p.volumes[s.id] != s || unwanted(s.id) { // or its removal failed on the way
			given = append(given, s)
		} else {
			wanted++
		}
	}
	if wanted > 0 {
		return nil, array.Errorf(array.Conflict, "it has %d snapshots", wanted)
	}
	for _, o := range p.all {
		if o.base == v.id || slices.ContainsFunc(given, func(s *Volume) bool { return o.base == s.id }) {
			return nil, array.Errorf(array.Conflict, "volume %s was made from it", o.id)
		}
	}
	return given, nil
}

// erase gives back all pages of a volume that nobody sees any more, some leaves at
// a time, and then its name. p.single is held.
func (p *Pool) erase(v *Volume) error {
	if v.snap != nil {
		return p.fold(v)
	}
	for _, in := range []bucket{pageBucket, shadowBucket} {
		if err := p.dropEntries(in, v.id); err != nil {
			return err
		}
	}
	return p.strike(v)
}

// strike takes a volume without entries out of the map.
func (p *Pool) strike(v *Volume) error {
	err := p.edit(func(e *edit) error {
		for _, in := range []bucket{volumeBucket, usageBucket} {
			if err := e.tx.Bucket([]byte(in)).Delete(numberKey(uint64(v.id))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("strike out volume %s: %w", v.id, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(v)
	return nil
}

// dropEntries removes a volume's own entries from a bucket.
func (p *Pool) dropEntries(in bucket, id array.VolumeID) error {
	err := p.sweep(in, id, func(e *edit, page int64) error {
		return e.dropped(e.set(in, id, page, entry{}))
	})
	if err != nil {
		return fmt.Errorf("give back pages of volume %s: %w", id, err)
	}
	return nil
}

// pagesPerStep bounds one transaction of a sweep.
const pagesPerStep = 64 * leafPages

// sweep calls fn for every entry that a volume has of its own in a bucket, in as many
// transactions as it takes; fn takes the entry away. p.single is held.
func (p *Pool) sweep(in bucket, id array.VolumeID, fn func(e *edit, page int64) error) error {
	for more := true; more; {
		err := p.edit(func(e *edit) error {
			var pages []int64
			err := eachEntry(e.tx, in, id, 0, 1<<62, func(page int64, _ entry) bool {
				pages = append(pages, page)
				return len(pages) < pagesPerStep
			})
			more = len(pages) == pagesPerStep
			for _, page := range pages {
				if err != nil {
					return err
				}
				err = fn(e, page)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
