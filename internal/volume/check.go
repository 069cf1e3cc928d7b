// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// Check walks over what the pool has on disk and calls report for each thing that
// is wrong, in words for people. With content it reads every page and checks its
// sums. It returns an error only if it couldn't go on.
func (p *Pool) Check(content bool, report func(string)) error {
	p.single.Lock()
	defer p.single.Unlock()
	err := p.db.View(func(tx *bolt.Tx) error {
		c := &checker{
			p: p, tx: tx, report: report, content: content, buf: vfs.NewBuffer(block.Page),
			more: map[int64]uint64{}, use: map[array.VolumeID]usage{},
		}
		return c.run()
	})
	if err != nil {
		return fmt.Errorf("check pool: %w", err)
	}
	return nil
}

type checker struct {
	p       *Pool
	tx      *bolt.Tx
	report  func(string)
	content bool
	buf     []byte
	// said are the units that the map says are used, met those that entries have.
	said, met units
	more      map[int64]uint64 // by address, how many entries more than one have it
	use       map[array.VolumeID]usage
}

func (c *checker) run() error {
	for err := range c.tx.Check() {
		c.report(fmt.Sprintf("map file: %v", err))
	}
	if err := c.said.load(c.tx); err != nil {
		c.report(err.Error())
		return nil
	}
	c.met.dirty = map[int64]struct{}{}
	c.met.grow(int64(len(c.said.words)) * 64)
	c.family()
	for _, b := range []bucket{pageBucket, shadowBucket} {
		if err := c.bucket(b); err != nil {
			return err
		}
	}
	c.allocation()
	if err := c.sharing(); err != nil {
		return err
	}
	return c.usage()
}

// family looks at what is a snapshot of what.
func (c *checker) family() {
	for _, v := range c.p.all {
		if v.snap != nil && (c.p.all[v.snap.of] == nil || c.p.all[v.snap.of].snap != nil) {
			c.report(fmt.Sprintf("snapshot %s is of volume %s, which doesn't exist", v.id, v.snap.of))
		}
		if b := c.p.all[v.base]; v.base != 0 && (b == nil || b.snap == nil) {
			c.report(fmt.Sprintf("volume %s was made from snapshot %s, which doesn't exist", v.id, v.base))
		}
	}
}

func (c *checker) bucket(in bucket) error {
	var volumes []array.VolumeID
	return c.tx.Bucket([]byte(in)).ForEach(func(k, b []byte) error {
		v, leaf, err := leafOf(k)
		if err == nil {
			b, err = unsealLeaf(in, k, b)
		}
		if err != nil {
			c.report(fmt.Sprintf("%s map: leaf %x: %v", in, k, err))
			return nil
		}
		if !slices.Contains(volumes, v) {
			volumes = append(volumes, v)
			if c.p.all[v] == nil {
				c.report(fmt.Sprintf("%s map: pages of volume %s, which doesn't exist", in, v))
			}
		}
		for i := range int64(leafPages) {
			e := leafEntry(b, i)
			c.entry(fmt.Sprintf("%s map: volume %s page %d", in, v, leaf*leafPages+i), in, v, e)
		}
		return nil
	})
}

func (c *checker) entry(name string, in bucket, v array.VolumeID, e entry) {
	if err := e.sound(); err != nil {
		c.report(fmt.Sprintf("%s: %v", name, err))
		return
	}
	if e.kind == asBase && (in != pageBucket || c.headOf(v) == nil || c.headOf(v).base == 0) {
		c.report(name + " is said to be as in a snapshot that the volume was made from, and there is none")
	}
	if e.kind != stored {
		return
	}
	u := c.use[v]
	c.use[v] = usage{u.pages + 1, u.units + int64(e.units())}
	if e.birth == 0 {
		c.report(name + " is stored but has no birth")
	}
	var buf [pageUnits]run
	first := false
	for _, r := range e.runs(&buf) {
		switch {
		case !c.met.inside(r) || (r.addr+int64(r.n))*unitSize > c.p.size():
			c.report(fmt.Sprintf("%s is in unit %d, beyond the page file's end", name, r.addr))
			return
		case !c.said.has(r):
			c.report(fmt.Sprintf("%s is in unit %d, which counts as free", name, r.addr))
		case c.met.has(r) && !e.split:
			c.more[r.addr]++ // compared with what the map says of sharing
		case c.met.any(r):
			c.report(fmt.Sprintf("%s is in unit %d, of which another page has a part", name, r.addr))
		}
		first = first || !c.met.has(r)
		c.met.set(r, true)
	}
	if c.content && first {
		if err := c.p.readPart(c.buf, 0, &e); err != nil {
			c.report(fmt.Sprintf("%s in unit %d: %v", name, e.addr, err))
		}
	}
}

// headOf returns the volume whose snapshot v is, or v.
func (c *checker) headOf(id array.VolumeID) *Volume {
	v := c.p.all[id]
	if v != nil && v.snap != nil {
		return c.p.all[v.snap.of]
	}
	return v
}

// has and any report whether all or some units of a run are used.
func (s *units) has(r run) bool { return s.bits(r) == uint64(1)<<r.n-1 }
func (s *units) any(r run) bool { return s.bits(r) != 0 }

func (s *units) bits(r run) uint64 { return s.words[r.addr/64] >> (r.addr % 64) & (uint64(1)<<r.n - 1) }

// allocation looks for units that count as used and are not.
func (c *checker) allocation() {
	for i, w := range c.said.words {
		for b := range int64(64) {
			if (w&^c.met.words[i])>>b&1 == 1 {
				c.report(fmt.Sprintf("unit %d counts as used but no page is in it", int64(i)*64+b))
			}
		}
	}
}

// sharing compares the entries that were met with what the map says of shared units and
// of fingerprints.
func (c *checker) sharing() error {
	err := c.tx.Bucket([]byte(sharedBucket)).ForEach(func(k, b []byte) error {
		b, err := unseal(sharedBucket, k, b, 8)
		if err != nil || len(k) != 8 {
			c.report(fmt.Sprintf("map: count of shared address %x: %v", k, err))
			return nil
		}
		addr := int64(binary.BigEndian.Uint64(k))
		if n := binary.BigEndian.Uint64(b); n != c.more[addr] {
			c.report(fmt.Sprintf("unit %d counts as shared by %d entries, %d have it", addr, n+1, c.more[addr]+1))
		}
		delete(c.more, addr)
		return nil
	})
	for addr, n := range c.more {
		c.report(fmt.Sprintf("%d entries have unit %d, which doesn't count as shared", n+1, addr))
	}
	if err != nil {
		return err
	}
	return c.tx.Bucket([]byte(hashBucket)).ForEach(func(k, b []byte) error {
		b, err := unseal(hashBucket, k, b, entrySize)
		if err != nil {
			c.report(fmt.Sprintf("map: fingerprint %x: %v", k, err))
			return nil
		}
		e := decodeEntry(b)
		r := run{e.addr, e.units()}
		back, err := getPrint(c.tx, e.addr)
		if err != nil || !c.met.inside(r) || !c.met.has(r) || string(back) != string(k) {
			c.report(fmt.Sprintf("map: fingerprint %x leads to unit %d, where it isn't", k, e.addr))
		}
		return nil
	})
}

// usage compares the entries that were met with what the map says of each volume.
func (c *checker) usage() error {
	said, err := loadUsage(c.tx)
	if err != nil {
		c.report(err.Error())
		return nil
	}
	for v, u := range said {
		if c.use[v] != u {
			c.report(fmt.Sprintf("volume %s is said to have %d pages in %d units, it has %d in %d", v, u.pages, u.units, c.use[v].pages, c.use[v].units))
		}
		delete(c.use, v)
	}
	for v, u := range c.use {
		c.report(fmt.Sprintf("volume %s has %d pages that aren't counted", v, u.pages))
	}
	return nil
}
