// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// A snapshot has entries of its own only for pages that were written since: for others
// it reads through the next newer snapshot of the volume, and in the end through the
// volume itself. A volume that was made from a snapshot reads through that for what it
// never wrote. So neither costs anything when it is made, and reading a volume costs
// nothing for having snapshots.

// chain is a volume's snapshots, oldest first. Those being removed are part of it until
// their entries have moved on.
type chain []*Volume

// step is one volume whose entries a read looks at.
type step struct {
	id array.VolumeID
	// base is the step to go on with when an entry says asBase.
	base int
}

// newest returns the volume's newest snapshot, nil if it has none. p.single is held.
func (v *Volume) newest() *Volume {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	c := v.p.chains[v.id]
	if len(c) == 0 {
		return nil
	}
	return c[len(c)-1]
}

// path returns the volumes whose entries a read of v looks at, in order. It stays as it
// is until p.shape changes.
func (v *Volume) path() []step {
	if at := v.steps.Load(); at != nil {
		return *at
	}
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	steps := v.p.pathOf(v)
	v.steps.Store(&steps)
	return steps
}

// pathOf computes a path. p.mu is held.
func (p *Pool) pathOf(v *Volume) (steps []step) {
	for v != nil {
		first := len(steps)
		head := v
		if s := v.snap; s != nil {
			c := p.chains[s.of]
			for _, n := range c[slices.Index(c, v):] {
				steps = append(steps, step{id: n.id})
			}
			head = p.all[s.of]
			if head == nil {
				return steps // Check reports it
			}
		}
		steps = append(steps, step{id: head.id})
		for i := first; i < len(steps); i++ {
			steps[i].base = len(steps)
		}
		v = p.all[head.base]
	}
	return steps
}

// snapshot says of what and when a volume is one.
type snapshot struct {
	of    array.VolumeID
	place array.Place
}

// link adds a volume to the chains, and forgets the paths that this changes. p.mu is
// held.
func (p *Pool) link(v *Volume) {
	p.all[v.id] = v
	if v.snap == nil {
		return
	}
	c := append(p.chains[v.snap.of], v)
	slices.SortFunc(c, func(a, b *Volume) int {
		return cmp.Or(cmp.Compare(a.snap.place, b.snap.place), cmp.Compare(a.id, b.id))
	})
	p.chains[v.snap.of] = c
	p.forgetPaths()
}

// unlink takes a volume out. p.mu is held.
func (p *Pool) unlink(v *Volume) {
	delete(p.all, v.id)
	delete(p.use, v.id)
	delete(p.full, v.id)
	p.recount()
	if v.snap != nil {
		c := p.chains[v.snap.of]
		if c = slices.DeleteFunc(slices.Clone(c), func(o *Volume) bool { return o == v }); len(c) == 0 {
			delete(p.chains, v.snap.of)
		} else {
			p.chains[v.snap.of] = c
		}
	}
	p.forgetPaths()
}

// forgetPaths lets every path be computed again. p.mu is held.
func (p *Pool) forgetPaths() {
	for _, v := range p.all {
		v.steps.Store(nil)
	}
	p.shape.Add(1)
}

// find returns the entry that a page of a path has. With layered, the shadow of the
// first step's resync comes before its pages.
func find(tx *bolt.Tx, path []step, page int64, layered bool) (entry, error) {
	if layered {
		if e, err := lookup(tx, shadowBucket, path[0].id, page); err != nil || e.kind != nothing {
			return e, err
		}
	}
	_, e, err := holder(tx, path, page)
	return e, err
}

// holder returns the entry that a page of a path has, and whose it is; 0 for nobody's.
func holder(tx *bolt.Tx, path []step, page int64) (array.VolumeID, entry, error) {
	for i := 0; i < len(path); i++ {
		e, err := lookup(tx, pageBucket, path[i].id, page)
		switch {
		case err != nil:
			return 0, e, err
		case e.kind == asBase:
			i = path[i].base - 1
		case e.kind != nothing:
			return path[i].id, e, nil
		}
	}
	return 0, entry{}, nil
}

// eachKnown calls fn for the pages from start to end that any volume of a path has an
// entry for, in order, until it returns false.
func eachKnown(tx *bolt.Tx, path []step, start, end int64, fn func(int64) bool) error {
	if len(path) == 1 {
		return eachEntry(tx, pageBucket, path[0].id, start, end, func(page int64, _ entry) bool { return fn(page) })
	}
	const window = 64 * leafPages // the union is made of some pages at a time
	for ; start < end; start += window {
		next, err := firstKnown(tx, path, start, end)
		if err != nil || next >= end {
			return err
		}
		start = next / window * window
		var known [window]bool
		for _, s := range path {
			err := eachEntry(tx, pageBucket, s.id, max(start, next), min(end, start+window), func(page int64, _ entry) bool {
				known[page-start] = true
				return true
			})
			if err != nil {
				return err
			}
		}
		for i, k := range known {
			if k && !fn(start+int64(i)) {
				return nil
			}
		}
	}
	return nil
}

// firstKnown returns the first page from start on that any volume of a path has an
// entry for, or end.
func firstKnown(tx *bolt.Tx, path []step, start, end int64) (int64, error) {
	first := end
	for _, s := range path {
		err := eachEntry(tx, pageBucket, s.id, start, first, func(page int64, _ entry) bool {
			first = page
			return false
		})
		if err != nil {
			return end, err
		}
	}
	return first, nil
}

// SnapshotCount returns how many snapshots the volume has, with those that are being
// made or removed.
func (v *Volume) SnapshotCount() int {
	v.mu.RLock()
	n := v.freezing()
	v.mu.RUnlock()
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	return n + len(v.p.chains[v.id])
}

// Snapshots returns the volume's snapshots, oldest first.
func (v *Volume) Snapshots() []VolumeSpec {
	v.p.mu.Lock()
	c := slices.Clone(v.p.chains[v.id])
	v.p.mu.Unlock()
	var out []VolumeSpec
	for _, n := range c {
		if s := n.Spec(); !s.Removing {
			out = append(out, s)
		}
	}
	return out
}

// Differ calls fn for the pages from page from on that may differ between two snapshots
// of one volume, or between one and the volume itself, in order, until it returns
// false. It looks at what was written between them, not at the volume, and puts what is
// applied on pages first.
func (p *Pool) Differ(older, newer array.VolumeID, from int64, fn func(page int64) bool) error {
	a, b := p.Volume(older), p.Volume(newer)
	if a == nil || b == nil {
		return fmt.Errorf("compare volumes: %w", array.Errorf(array.NotFound, "no volume %s or %s", older, newer))
	}
	if err := p.Flush(a.group); err != nil { // what isn't on pages yet differs too
		return fmt.Errorf("compare volumes: %w", err)
	}
	p.mu.Lock()
	between, ok := p.between(a, b)
	p.mu.Unlock()
	if !ok {
		return fmt.Errorf("compare volumes: %w", array.Errorf(array.Invalid, "%s is no older snapshot of %s", older, newer))
	}
	if len(between) == 0 {
		return nil
	}
	for more := true; more; { // in steps, so that no long transaction pins the map
		var found []int64
		more = false
		err := p.db.View(func(tx *bolt.Tx) error {
			return eachKnown(tx, between, from, 1<<62, func(page int64) bool {
				found = append(found, page)
				from = page + 1
				more = len(found) == 4096
				return !more
			})
		})
		if err != nil {
			return fmt.Errorf("compare volumes %s and %s: %w", older, newer, err)
		}
		for _, page := range found {
			if !fn(page) {
				return nil
			}
		}
	}
	return nil
}

// between returns the snapshots from a on up to b, without b. p.mu is held.
func (p *Pool) between(a, b *Volume) ([]step, bool) {
	if a.snap == nil {
		return nil, a == b
	}
	c := p.chains[a.snap.of]
	i, end := slices.Index(c, a), len(c)
	if b.snap != nil {
		end = slices.Index(c, b)
	} else if b.id != a.snap.of {
		return nil, false
	}
	var steps []step
	for ; i < end; i++ {
		steps = append(steps, step{id: c[i].id})
	}
	return steps, i >= 0 && end >= 0 && i == end
}
