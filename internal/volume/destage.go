// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// background destages when much is in memory or something has been for long.
func (p *Pool) background() {
	defer close(p.ended)
	if p.o.Age < 0 {
		<-p.stop
		return
	}
	t := time.NewTicker(p.o.Age)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-p.kick:
		case <-t.C:
		}
		p.measure()
		err := p.destage(nil)
		if err == nil {
			continue
		}
		if p.o.Alarm != nil {
			p.o.Alarm(err)
		}
		// What went wrong is told to those who wait, who ask for another attempt at once: a full
		// pool with a damaged page tells of that page each time.
		select {
		case <-p.stop:
			return
		case <-time.After(min(p.o.Age, failedFor)):
		}
	}
}

// failedFor is how long pages rest after some could not be written.
const failedFor = 100 * time.Millisecond

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
	made := p.made
	p.made = nil
	p.single.Unlock()
	p.tellLevel()
	if p.o.OnSnapshot != nil {
		for _, s := range made {
			p.o.OnSnapshot(s)
		}
	}
	for _, g := range goals {
		if p.o.OnDestaged != nil && g.state == steady {
			p.o.OnDestaged(g.id, g.place)
		}
	}
	if err != nil {
		// What was let go of was told batch by batch. Who waits would ask again at once, and
		// be the reason for the next attempt, without end.
		return fmt.Errorf("destage: %w", err)
	}
	p.tellRoom()
	return nil
}

// tellLevel tells of a level that was reached or left, of the newest last.
func (p *Pool) tellLevel() {
	p.telling.Lock()
	defer p.telling.Unlock()
	now := p.Level()
	changed := p.told != now
	p.told = now
	if changed && p.o.OnLevel != nil {
		p.o.OnLevel(now)
	}
}

// destageLocked notes how far the groups are before it looks at the volumes: a
// record up to there is in an overlay then, or overwritten by a later one. A volume that
// fails holds up its own group only.
func (p *Pool) destageLocked(only *array.GroupID) ([]goal, error) {
	goals := map[array.GroupID]goal{}
	states := map[array.GroupID]resyncState{}
	var volumes []*Volume
	p.mu.Lock()
	for id, g := range p.groups {
		if (only != nil && *only != id) || g.state > resyncing {
			continue
		}
		states[id] = g.state
		if g.applied > g.destaged {
			goals[id] = goal{id, g.applied, g.state, g.destaged}
		}
	}
	for _, v := range p.volumes {
		if _, ok := states[v.group]; ok && v.snap == nil {
			volumes = append(volumes, v)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(volumes, func(a, b *Volume) int { return cmp.Compare(a.id, b.id) })
	var errs []error
	for _, v := range volumes {
		into := pageBucket
		if states[v.group] == resyncing {
			into = shadowBucket
		}
		if err := v.destage(into); err != nil {
			errs = append(errs, err)
			delete(goals, v.group)
		}
	}
	reached := slices.Collect(maps.Values(goals))
	if err := p.reached(reached); err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	return reached, errors.Join(errs...)
}

// reached makes the groups' places durable.
func (p *Pool) reached(goals []goal) error {
	if len(goals) == 0 {
		return nil
	}
	records := map[array.GroupID]groupRecord{}
	p.mu.Lock()
	for _, g := range goals {
		records[g.id] = p.record(g.id)
	}
	p.mu.Unlock()
	err := p.db.Update(func(tx *bolt.Tx) error {
		for _, g := range goals {
			if g.state != steady {
				continue // the place is that of the kept state until the resync ends
			}
			r := records[g.id]
			r.Destaged = g.place
			if err := putJSON(tx, groupBucket, uint64(g.id), r); err != nil {
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

// destage puts what was applied to a volume so far on pages, and makes the snapshots
// that came between. What comes meanwhile goes to a layer of its own: a page must not
// get what a snapshot that is about to be made shouldn't show.
func (v *Volume) destage(into bucket) error {
	if err := v.keepSize(); err != nil {
		return err
	}
	v.mu.Lock()
	if n := len(v.sealed); len(v.over.chunks) > 0 && (n == 0 || v.sealed[n-1].snap != nil) {
		v.seal(nil) // else there is one that could not be destaged yet, and this waits for it
	}
	sealed := slices.Clone(v.sealed)
	v.mu.Unlock()
	for _, l := range sealed {
		if err := v.destageLayer(into, &l.over); err != nil {
			v.unseal()
			return err
		}
		if l.snap != nil {
			if err := v.makeSnapshot(*l.snap); err != nil {
				return err
			}
		}
		v.mu.Lock()
		l.over.clear(0, 1<<62, everything)
		v.sealed = v.sealed[1:]
		v.turn++
		v.mu.Unlock()
	}
	return nil
}

// seal ends the layer that records go to. v.mu is held.
func (v *Volume) seal(snap *VolumeSpec) {
	v.sealed = append(v.sealed, &layer{over: v.over, snap: snap})
	v.over = overlay{freed: v.letGo}
}

// unseal joins the newest sealed layer with what came since, unless a snapshot is
// between: what was zeroed or written again meanwhile needs no room in a full pool.
func (v *Volume) unseal() {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := len(v.sealed) - 1
	l := v.sealed[last]
	if l.snap != nil {
		return
	}
	for _, c := range v.over.chunks {
		for _, e := range c {
			l.over.put(e)
		}
	}
	v.over, v.sealed = l.over, v.sealed[:last]
	v.turn++
}

// dirtyPages returns the pages that a layer changes, in order. Of a long range of zeros
// only those count that show something else now.
func (v *Volume) dirtyPages(into bucket, l *overlay) ([]int64, error) {
	var pages []int64
	var long []span
	add := func(page int64) {
		if n := len(pages); n == 0 || pages[n-1] != page {
			pages = append(pages, page)
		}
	}
	v.mu.RLock()
	l.each(0, 1<<62, func(e *extent) bool {
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
	path := v.path()
	err := v.p.db.View(func(tx *bolt.Tx) error {
		for _, s := range long {
			add := func(page int64, e entry, err error) error {
				if e.kind == stored {
					pages = append(pages, page)
				}
				return err
			}
			var err error
			if e := eachKnown(tx, path, s.start, s.end, func(page int64) bool {
				e, bad := find(tx, path, page, false)
				err = add(page, e, bad)
				return err == nil
			}); e != nil || err != nil {
				return errors.Join(e, err)
			}
			if into != shadowBucket {
				continue
			}
			if err := eachEntry(tx, shadowBucket, v.id, s.start, s.end, func(page int64, e entry) bool {
				return add(page, e, nil) == nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(pages)
	return slices.Compact(pages), err
}
