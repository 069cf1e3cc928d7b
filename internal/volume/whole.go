// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// whole makes sure, when the pool is opened, that the map is what was written: every
// value has its seal, every page lies in units that count as used, none of which another
// page has a part of, and the file below hangs together. A map that is not whole would
// show zeros where data were. It reads the map once: about 2 GiB per TiB of pages.
func (p *Pool) whole(tx *bolt.Tx) error {
	met := units{dirty: map[int64]struct{}{}}
	met.grow(int64(len(p.units.words)) * 64)
	for _, in := range []bucket{pageBucket, shadowBucket} {
		err := tx.Bucket([]byte(in)).ForEach(func(k, b []byte) error {
			v, leaf, err := leafOf(k)
			if err != nil {
				return err
			}
			if b, err = unsealLeaf(in, k, b); err != nil {
				return err
			}
			for i := range int64(leafPages) {
				e := leafEntry(b, i)
				if err := met.meet(&p.units, &e); err != nil {
					return fmt.Errorf("%s of volume %s, page %d: %w", in, v, leaf*leafPages+i, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("the map is damaged: %w", err)
		}
	}
	if met.used != p.units.used {
		return array.Errorf(array.Medium, "the map is damaged: %d units count as used, but pages are in %d", p.units.used, met.used)
	}
	for _, in := range []bucket{sharedBucket, hashBucket, hashedBucket} {
		if err := tx.Bucket([]byte(in)).ForEach(func(k, b []byte) error { _, err := unseal(in, k, b, 0); return err }); err != nil {
			return fmt.Errorf("the map is damaged: %w", err)
		}
	}
	return store.HangsTogether(tx)
}

// meet notes the units of an entry, which must be used by all, and no other page's in
// part.
func (s *units) meet(all *units, e *entry) error {
	if err := e.sound(); err != nil || e.kind != stored {
		return err
	}
	var buf [pageUnits]run
	for _, r := range e.runs(&buf) {
		switch {
		case !s.inside(r) || !all.has(r):
			return array.Errorf(array.Medium, "it is in unit %d, which counts as free", r.addr)
		case s.any(r) && (e.split || !s.has(r)):
			return array.Errorf(array.Medium, "it is in unit %d, of which another page has a part", r.addr)
		}
		s.set(r, true)
	}
	return nil
}
