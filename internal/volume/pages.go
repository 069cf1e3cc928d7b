// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// write puts pages in fresh slots, flushes them, and turns the map to them. p.single
// is held.
func (p *Pool) write(into bucket, changes []change) error {
	if p.broken != nil {
		return fmt.Errorf("pool must be opened again after: %w", p.broken)
	}
	n := 0
	for i := range changes {
		if changes[i].data != nil {
			n++
		}
	}
	p.mu.Lock()
	taken, err := p.slots.take(n)
	p.mu.Unlock()
	if err == nil {
		if err = p.writePages(changes, taken); err == nil {
			return p.turn(into, changes)
		}
		p.mu.Lock()
		p.slots.give(taken)
		p.mu.Unlock()
	}
	return err
}

// turn turns the map to the changes. If that fails nobody knows which of both the
// disk has, so neither the old slots nor the new ones may be written any more: the
// pool takes no pages until it is opened again.
func (p *Pool) turn(into bucket, changes []change) error {
	freed, err := p.commit(into, changes)
	if err != nil {
		p.broken = err
		return err
	}
	p.turned(changes, freed)
	return nil
}

// writePages writes neighbours in one go: their content lies side by side too.
func (p *Pool) writePages(changes []change, taken []int64) error {
	if len(taken) == 0 {
		return nil
	}
	if err := p.extend((slices.Max(taken) + 1) * block.Page); err != nil {
		return err
	}
	var run []byte
	var start, next int64
	i := 0
	for k := range changes {
		c := &changes[k]
		if c.data == nil {
			continue
		}
		slot := taken[i]
		i++
		c.e.slot = uint32(slot) + 1
		for b := range blocks {
			c.e.crc[b] = blockSum(c.data[b*blockSize : (b+1)*blockSize])
			if c.bad>>b&1 == 1 {
				c.e.crc[b] = ^c.e.crc[b]
			}
		}
		if run != nil && slot == next && cap(run)-len(run) >= block.Page && &run[:len(run)+1][len(run)] == &c.data[0] {
			run = run[:len(run)+block.Page]
		} else {
			if run != nil {
				if _, err := p.pages.WriteAt(run, start*block.Page); err != nil {
					return fmt.Errorf("write pages: %w", err)
				}
			}
			run, start = c.data[:block.Page], slot
		}
		next = slot + 1
	}
	if _, err := p.pages.WriteAt(run, start*block.Page); err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	if err := p.pages.Sync(); err != nil {
		return fmt.Errorf("flush pages: %w", err)
	}
	return nil
}

// extend makes the page file reach to size.
func (p *Pool) extend(size int64) error {
	if size <= p.fileSize {
		return nil
	}
	size = min((size+p.o.Grow-1)/p.o.Grow*p.o.Grow, max(size, p.slots.limit*block.Page))
	if err := p.pages.Allocate(size); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return &array.Error{Kind: array.Full, Text: fmt.Sprintf("no room to grow the page file to %d bytes", size), Err: err}
		}
		return fmt.Errorf("grow page file to %d bytes: %w", size, err)
	}
	p.fileSize = size
	return nil
}

// commit turns the map to the changes, and returns the slots that this freed.
func (p *Pool) commit(into bucket, changes []change) (freed []int64, err error) {
	err = p.db.Update(func(tx *bolt.Tx) error {
		freed = nil
		for i := range changes {
			c := &changes[i]
			old, err := lookup(tx, into, c.v.id, c.page)
			if err != nil {
				return err
			}
			if old.slot != 0 {
				freed = append(freed, int64(old.slot-1))
			}
			if err := update(tx, into, c.v.id, c.page, c.e); err != nil {
				return err
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.slots.save(tx, freed)
	})
	if err != nil {
		return nil, fmt.Errorf("commit page map: %w", err)
	}
	return freed, nil
}

// turned tells readers that slots are free, and then frees them.
func (p *Pool) turned(changes []change, freed []int64) {
	var last *Volume
	for i := range changes {
		if v := changes[i].v; v != last {
			v.mu.Lock()
			v.turn++
			v.mu.Unlock()
			last = v
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.slots.dirty)
	p.slots.give(freed)
	clear(p.slots.dirty) // the transaction has them free already
}
