// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// whole makes sure, when the pool is opened, that the map is what was written: every
// value has its seal, every slot that is used belongs to exactly one page, and the file
// below hangs together. A map that is not whole would show zeros where data were. It
// reads the map once: about 2 GiB per TiB of pages.
func (p *Pool) whole(tx *bolt.Tx) error {
	owned := slots{}
	owned.grow(int64(len(p.slots.words)) * 64)
	for _, in := range []bucket{pageBucket, shadowBucket} {
		err := tx.Bucket([]byte(in)).ForEach(func(k, b []byte) error {
			v, leaf, err := leafOf(k)
			if err != nil {
				return err
			}
			if b, err = unseal(in, k, b, leafSize); err != nil {
				return err
			}
			for i := range int64(leafPages) {
				e := decodeEntry(b[i*entrySize:])
				if e.slot == 0 {
					continue
				}
				if err := owned.own(&p.slots, int64(e.slot-1)); err != nil {
					return fmt.Errorf("%s of volume %s, page %d: %w", in, v, leaf*leafPages+i, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("the map is damaged: %w", err)
		}
	}
	if owned.used != p.slots.used {
		return array.Errorf(array.Medium, "the map is damaged: %d slots count as used, but pages are in %d", p.slots.used, owned.used)
	}
	return store.HangsTogether(tx)
}

// own notes the owner of a slot, which must be used by all and have no other.
func (s *slots) own(all *slots, slot int64) error {
	if slot/64 >= int64(len(all.words)) || all.words[slot/64]>>(slot%64)&1 == 0 {
		return array.Errorf(array.Medium, "it is in slot %d, which counts as free", slot)
	}
	if s.words[slot/64]>>(slot%64)&1 == 1 {
		return array.Errorf(array.Medium, "it is in slot %d, where another page is", slot)
	}
	s.words[slot/64] |= 1 << (slot % 64)
	s.used++
	return nil
}
