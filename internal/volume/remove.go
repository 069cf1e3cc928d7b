// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// Remove takes a volume away, durably. Its pages are given back.
func (p *Pool) Remove(id array.VolumeID) error {
	p.single.Lock()
	defer p.single.Unlock()
	v := p.Volume(id)
	if v == nil {
		return fmt.Errorf("remove volume: %w", array.Errorf(array.NotFound, "no volume %s", id))
	}
	s := v.Spec()
	s.Removing = true
	if err := p.db.Update(func(tx *bolt.Tx) error { return putJSON(tx, volumeBucket, uint64(id), s) }); err != nil {
		return fmt.Errorf("remove volume %s: %w", id, err)
	}
	v.mu.Lock()
	v.gone = true
	v.turn++
	v.over.clear(0, 1<<62, everything)
	v.mu.Unlock()
	p.mu.Lock()
	delete(p.volumes, id)
	p.mu.Unlock()
	if err := p.erase(id); err != nil {
		return fmt.Errorf("remove volume %s: %w", id, err)
	}
	return nil
}

// erase gives back all pages of a volume that nobody sees any more, some leaves at
// a time, and then its name.
func (p *Pool) erase(id array.VolumeID) error {
	for _, b := range []bucket{pageBucket, shadowBucket} {
		if err := p.dropLeaves(b, id); err != nil {
			return err
		}
	}
	return p.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(volumeBucket)).Delete(binary.BigEndian.AppendUint64(nil, uint64(id)))
	})
}

const leavesPerStep = 256

// dropLeaves removes a volume's entries from a bucket and frees their slots.
func (p *Pool) dropLeaves(in bucket, id array.VolumeID) error {
	for more := true; more; {
		var freed []int64
		err := p.db.Update(func(tx *bolt.Tx) error {
			freed, more = nil, false
			var keys [][]byte
			err := eachEntry(tx, in, id, 0, 1<<62, func(page int64, e entry) bool {
				key := leafKey(id, page/leafPages)
				if n := len(keys); n == 0 || !bytes.Equal(keys[n-1], key) {
					if n == leavesPerStep {
						more = true
						return false
					}
					keys = append(keys, key)
				}
				if e.slot != 0 {
					freed = append(freed, int64(e.slot-1))
				}
				return true
			})
			if err != nil {
				return err
			}
			for _, k := range keys {
				if err := tx.Bucket([]byte(in)).Delete(k); err != nil {
					return err
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.slots.save(tx, freed)
		})
		if err != nil {
			return fmt.Errorf("give back pages of volume %s: %w", id, err)
		}
		p.turned(nil, freed)
	}
	return nil
}
