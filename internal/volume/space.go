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
	others := p.aside - p.reservedFor(v.id)
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
// or because they replace what is there. What is applied and not on pages counts as
// pages of its own.
func (v *Volume) Spacious(off, n int64) (bool, error) {
	p := v.p
	need := (pagesOf(off+n) - off/block.Page) * pageUnits
	p.mu.Lock()
	free := p.units.limit - p.spare() - p.units.used - p.aside + p.reservedFor(v.id)
	tight := need+p.pending > free
	p.mu.Unlock()
	if !tight {
		return true, nil
	}
	p.wake()
	has, err := v.replaces(off, n)
	return err == nil && need-has+p.dirty() <= max(free, 0), err
}

// replaces returns the units that writing a range will free for certain.
func (v *Volume) replaces(off, n int64) (units int64, err error) {
	s := v.newest()
	err = v.p.db.View(func(tx *bolt.Tx) error {
		for page := off / block.Page; page*block.Page < off+n; page++ {
			e, err := lookup(tx, pageBucket, v.id, page)
			if err != nil {
				return err
			}
			if s != nil {
				old, err := lookup(tx, pageBucket, s.id, page)
				if err != nil {
					return err
				}
				if old.kind == nothing {
					continue
				}
			}
			units += int64(e.units())
		}
		return nil
	})
	return units, err
}

// dirty returns the units that what is not on pages would take. It walks over all of
// that: only a pool that is nearly full asks.
func (p *Pool) dirty() (n int64) {
	p.mu.Lock()
	all := make([]*Volume, 0, len(p.volumes))
	for _, v := range p.volumes {
		all = append(all, v)
	}
	p.mu.Unlock()
	for _, v := range all {
		v.mu.RLock()
		for _, l := range v.layers(everyLayer) {
			last := int64(-1)
			l.each(0, 1<<62, func(e *extent) bool {
				first, end := max(e.start/block.Page, last+1), (e.end-1)/block.Page
				if e.data != nil && end >= first {
					n += (end - first + 1) * pageUnits
				}
				last = max(last, end)
				return true
			})
		}
		v.mu.RUnlock()
	}
	return n
}

// levels are the fullness, in percent, at which people are told.
var levels = [...]int{75, 85, 95}

// level returns the highest level that the pool has reached, 0 for none.
func (p *Pool) level() (reached int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range levels {
		if (p.units.used+p.aside)*100 >= p.units.limit*int64(l) {
			reached = l
		}
	}
	return reached
}
