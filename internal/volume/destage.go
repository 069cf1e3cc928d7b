// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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
	bad  uint8  // blocks, by bit, that must fail their checksums: see salvage
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
			bad := uint8(0)
			if errors.As(err, new(*Bad)) {
				birth, bad, err = v.salvage(buf[:n], page, into == shadowBucket)
			}
			if err != nil {
				return fmt.Errorf("volume %s page %d: %w", v.id, page, err)
			}
			c := change{v: v, page: page, e: entry{birth: birth}, bad: bad}
			if bad != 0 || !isZero(buf) {
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
		if e.long {
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
		if b, err = unseal(in, k, b, leafSize); err != nil {
			return err
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
