// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// background destages when much is in memory or something has been for long.
func (p *Pool) background() {
	defer close(p.ended)
	var tick <-chan time.Time
	if p.o.Age > 0 {
		t := time.NewTicker(p.o.Age)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-p.stop:
			return
		case <-p.kick:
		case <-tick:
		}
		if err := p.destage(nil); err != nil && p.o.Alarm != nil {
			p.o.Alarm(err)
		}
	}
}

// Flush puts all that was applied to a group so far on pages.
func (p *Pool) Flush(id array.GroupID) error { return p.destage(&id) }

// goal is how far a destage brings a group.
type goal struct {
	id    array.GroupID
	place array.Place
	state resyncState
	from  array.Place
}

// destage puts one group, or all, on pages.
func (p *Pool) destage(only *array.GroupID) error {
	p.single.Lock()
	goals, err := p.destageLocked(only)
	p.mu.Lock()
	room := p.starved && p.overlay < p.o.Overlay
	if room {
		p.starved = false
	}
	p.mu.Unlock()
	p.single.Unlock()
	for _, g := range goals {
		if p.o.OnDestaged != nil && g.state == steady {
			p.o.OnDestaged(g.id, g.place)
		}
	}
	if room && p.o.OnRoom != nil {
		p.o.OnRoom()
	}
	if err != nil {
		return fmt.Errorf("destage: %w", err)
	}
	return nil
}

// destageLocked notes how far the groups are before it looks at the volumes: a
// record up to there is in an overlay then, or overwritten by a later one.
func (p *Pool) destageLocked(only *array.GroupID) ([]goal, error) {
	var goals []goal
	var volumes []*Volume
	states := map[array.GroupID]resyncState{}
	p.mu.Lock()
	for id, g := range p.groups {
		if (only == nil || *only == id) && g.applied > g.destaged && g.state <= resyncing {
			goals = append(goals, goal{id, g.applied, g.state, g.destaged})
			states[id] = g.state
		}
	}
	for _, v := range p.volumes {
		if _, ok := states[v.group]; ok {
			volumes = append(volumes, v)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(volumes, func(a, b *Volume) int { return int(int64(a.id - b.id)) })
	for _, v := range volumes {
		into := pageBucket
		if states[v.group] == resyncing {
			into = shadowBucket
		}
		if err := v.destage(into); err != nil {
			return nil, err
		}
	}
	return goals, p.reached(goals)
}

// reached makes the groups' places durable.
func (p *Pool) reached(goals []goal) error {
	if len(goals) == 0 {
		return nil
	}
	err := p.db.Update(func(tx *bolt.Tx) error {
		for _, g := range goals {
			if g.state != steady {
				continue // the place is that of the kept state until the resync ends
			}
			if err := putJSON(tx, groupBucket, uint64(g.id), groupRecord{Destaged: g.place}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note destaged places: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range goals {
		if g.state == steady {
			p.groups[g.id].destaged = g.place
		}
	}
	return nil
}

// change is a page's new content.
type change struct {
	v    *Volume
	page int64
	e    entry  // with birth; slot and sums are filled in by write
	data []byte // nil for zeros
}

// destage puts a volume's overlay, as it is now, on pages.
func (v *Volume) destage(into bucket) error {
	v.mu.RLock()
	upTo := v.seq
	v.mu.RUnlock()
	pages, err := v.dirtyPages(into)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(pages, stagingPages) {
		var changes []change
		staged := 0
		for _, page := range batch {
			buf := v.p.staging[staged*block.Page : (staged+1)*block.Page]
			n := min(block.Page, v.Spec().Size-page*block.Page)
			clear(buf[n:])
			birth, err := v.read(buf[:n], page*block.Page, into == shadowBucket)
			if err != nil {
				return fmt.Errorf("volume %s page %d: %w", v.id, page, err)
			}
			c := change{v: v, page: page, e: entry{birth: birth}}
			if !isZero(buf) {
				c.data = buf
				staged++
			}
			changes = append(changes, c)
		}
		if err := v.p.write(into, changes); err != nil {
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over.clear(0, 1<<62, func(e *extent) bool { return e.seq <= upTo })
	v.turn++
	return nil
}

// isZero compares the bytes with themselves, one further: all are equal to the
// first.
func isZero(b []byte) bool { return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }

// dirtyPages returns the pages that the overlay changes, in order. Of a long range
// of zeros only those that have a slot count.
func (v *Volume) dirtyPages(into bucket) ([]int64, error) {
	var pages []int64
	var long []span
	add := func(page int64) {
		if n := len(pages); n == 0 || pages[n-1] != page {
			pages = append(pages, page)
		}
	}
	v.mu.RLock()
	v.over.each(0, 1<<62, func(e *extent) bool {
		first, last := e.start/block.Page, (e.end-1)/block.Page
		if e.data == nil && last-first > 2*leafPages {
			add(first)
			long = append(long, span{first + 1, last})
			first = last
		}
		for ; first <= last; first++ {
			add(first)
		}
		return true
	})
	v.mu.RUnlock()
	if len(long) == 0 {
		return pages, nil
	}
	err := v.p.db.View(func(tx *bolt.Tx) error {
		for _, s := range long {
			for _, b := range []bucket{pageBucket, shadowBucket} {
				if b == shadowBucket && into != shadowBucket {
					continue
				}
				err := eachEntry(tx, b, v.id, s.start, s.end, func(page int64, e entry) bool {
					if e.slot != 0 {
						pages = append(pages, page)
					}
					return true
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	slices.Sort(pages)
	return slices.Compact(pages), err
}

// eachEntry calls fn for the entries of pages from start to end that were ever
// written, in order, until it returns false.
func eachEntry(tx *bolt.Tx, in bucket, v array.VolumeID, start, end int64, fn func(int64, entry) bool) error {
	c := tx.Bucket([]byte(in)).Cursor()
	for k, b := c.Seek(leafKey(v, start/leafPages)); k != nil; k, b = c.Next() {
		id, leaf, err := leafOf(k)
		if err != nil || id != v || leaf*leafPages >= end {
			return err
		}
		if len(b) != leafSize {
			return array.Errorf(array.Medium, "volume %s: the map's leaf %d has %d bytes", v, leaf, len(b))
		}
		for i := range int64(leafPages) {
			page := leaf*leafPages + i
			e := decodeEntry(b[i*entrySize:])
			if page >= start && page < end && (e.slot != 0 || e.birth != 0) && !fn(page, e) {
				return nil
			}
		}
	}
	return nil
}

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
			c.e.crc[b] = block.Checksum(c.data[b*blockSize : (b+1)*blockSize])
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
