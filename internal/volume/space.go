// SPDX-License-Identifier: Apache-2.0

package volume

import (
	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Provisioning says when a volume's space is set aside. Values are on disk.
type Provisioning string

const (
	// Thin takes space for what is written. It is what an empty value means.
	Thin Provisioning = "thin"
	// Full sets the whole size aside when the volume is made.
	Full Provisioning = "full"
	// Dedup is thin, and stores pages with the same content once.
	Dedup Provisioning = "dedup"
)

// fits refuses changes that would take what was set aside for others. Some units are
// kept for replacing pages: without them a full pool couldn't take the writes that free
// as much as they need.
func (p *Pool) fits(into bucket, changes []change, need int64) error {
	v := changes[0].v
	p.mu.Lock()
	limit, used := p.units.limit, p.units.used
	others := p.reserved() - p.reservedFor(v.id)
	p.mu.Unlock()
	if used+others+need <= limit-p.spare() {
		return nil
	}
	frees, err := p.replaced(into, changes)
	if err != nil {
		return err
	}
	if used+others+need-frees <= limit-p.spare() && used+need <= limit {
		return nil
	}
	return array.Errorf(array.Full, "the CPG is full: %d MiB of %d are used and %d set aside", used*unitSize>>20, limit*unitSize>>20, others*unitSize>>20)
}

// spare is what is kept for replacing pages, of a pool that can spare it.
func (p *Pool) spare() int64 { return min(stagingPages*pageUnits, p.units.limit/16) }

// replaced returns how many units the changes will free for certain.
func (p *Pool) replaced(into bucket, changes []change) (n int64, err error) {
	err = p.db.View(func(tx *bolt.Tx) error {
		for i := range changes {
			c := &changes[i]
			e, err := lookup(tx, into, c.v.id, c.page)
			if err != nil {
				return err
			}
			if e.kind != stored || tx.Bucket([]byte(sharedBucket)).Get(numberKey(uint64(e.addr))) != nil {
				continue
			}
			if s := c.v.newest(); s != nil && into == pageBucket {
				if has, err := lookup(tx, pageBucket, s.id, c.page); err != nil || has.kind == nothing {
					continue
				}
			}
			n += int64(e.units())
		}
		return nil
	})
	return n, err
}

// Spacious reports whether there is room for n bytes to be written at off: in the pool,
// or because they replace what is there. It counts what is applied and not on pages as
// if it took all of its space.
func (v *Volume) Spacious(off, n int64) (bool, error) {
	p := v.p
	need := (pagesOf(off+n) - off/block.Page) * pageUnits
	p.mu.Lock()
	free := p.units.limit - p.spare() - p.units.used - p.reserved() + p.reservedFor(v.id) - p.overlay/unitSize
	p.mu.Unlock()
	if need <= free {
		return true, nil
	}
	var has int64
	s := v.newest()
	err := p.db.View(func(tx *bolt.Tx) error {
		for page := off / block.Page; page*block.Page < off+n; page++ {
			e, err := lookup(tx, pageBucket, v.id, page)
			if err != nil {
				return err
			}
			if s != nil {
				old, err := lookup(tx, pageBucket, s.id, page)
				if err != nil || old.kind == nothing {
					return err
				}
			}
			has += int64(e.units())
		}
		return nil
	})
	return err == nil && need-has <= max(free, 0), err
}
