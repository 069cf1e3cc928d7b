// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"sync"
	"unsafe"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// cache keeps leaves of the map that host reads looked at, or that were changed lately, so
// that most reads need no transaction. Only pages of steady volumes that read through no other are looked up
// here: each is one entry, as of before or after an edit, and Volume.read notices an
// edit that ended meanwhile by the volume's turn.
//
// The newest leaves are in fresh; when that is half of the room, they become stale, and
// what was stale is forgotten.
type cache struct {
	most int

	mu           sync.RWMutex
	fresh, stale map[leafName]*[leafPages]entry
	// edits counts the edits that ended: what was read before one is not kept after it.
	edits uint64
}

// newCache returns a cache of about so many bytes.
func newCache(bytes int64) *cache {
	const leafBytes = leafPages*int64(unsafe.Sizeof(entry{})) + 64
	return &cache{most: max(int(bytes/leafBytes/2), 16), fresh: map[leafName]*[leafPages]entry{}}
}

// get returns a leaf, or nil and what keep needs.
func (c *cache) get(n leafName) (*[leafPages]entry, uint64) {
	c.mu.RLock()
	l, at := c.fresh[n], c.edits
	old := c.stale[n]
	c.mu.RUnlock()
	if l == nil && old != nil {
		c.keep(n, old, at)
		return old, at
	}
	return l, at
}

// keep keeps a leaf that was read after get, unless an edit ended since.
func (c *cache) keep(n leafName, l *[leafPages]entry, at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.edits != at {
		return
	}
	if len(c.fresh) >= c.most {
		c.fresh, c.stale = make(map[leafName]*[leafPages]entry, c.most), c.fresh
	}
	c.fresh[n] = l
}

// edited takes the leaves that an edit changed, in place of those that were here and as far
// as there is room, and forgets what else it changed. Nobody changes them any more.
func (c *cache) edited(changed map[leafName]*leaf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edits++
	for n, l := range changed {
		if !l.changed {
			continue
		}
		_, fresh := c.fresh[n]
		_, stale := c.stale[n]
		delete(c.stale, n)
		switch {
		case n.in == pageBucket && (fresh || len(c.fresh) < c.most):
			c.fresh[n] = &l.entries
		case n.in == pageBucket && stale:
			c.stale[n] = &l.entries
		case fresh:
			delete(c.fresh, n)
		}
	}
}

// leafAt returns a volume's leaf of the pages' bucket.
func (p *Pool) leafAt(v array.VolumeID, number int64) (*[leafPages]entry, error) {
	n := leafName{pageBucket, v, number}
	l, at := p.cache.get(n)
	if l != nil {
		return l, nil
	}
	err := p.db.View(func(tx *bolt.Tx) (err error) {
		l, err = readLeaf(tx, n)
		return err
	})
	if err == nil {
		p.cache.keep(n, l, at)
	}
	return l, err
}

// readLeaf returns the entries of a leaf.
func readLeaf(tx *bolt.Tx, n leafName) (*[leafPages]entry, error) {
	l := new([leafPages]entry)
	key := leafKey(n.v, n.leaf)
	b := tx.Bucket([]byte(n.in)).Get(key)
	if b == nil {
		return l, nil
	}
	b, err := unsealLeaf(n.in, key, b)
	for i := int64(0); i < leafPages && err == nil; i++ {
		l[i] = leafEntry(b, i)
		err = l[i].sound()
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}
