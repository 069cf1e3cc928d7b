// SPDX-License-Identifier: Apache-2.0

package volume

import (
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
		c := &checker{p: p, tx: tx, owner: map[int64]string{}, report: report, content: content, buf: vfs.NewBuffer(block.Page)}
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
	owner   map[int64]string // of each slot that was met
	report  func(string)
	content bool
	buf     []byte
}

func (c *checker) run() error {
	for err := range c.tx.Check() {
		c.report(fmt.Sprintf("map file: %v", err))
	}
	for _, b := range []bucket{pageBucket, shadowBucket} {
		if err := c.bucket(b); err != nil {
			return err
		}
	}
	return c.allocation()
}

func (c *checker) bucket(in bucket) error {
	var volumes []array.VolumeID
	err := c.tx.Bucket([]byte(in)).ForEach(func(k, b []byte) error {
		v, leaf, err := leafOf(k)
		if err == nil {
			b, err = unseal(in, k, b, leafSize)
		}
		if err != nil {
			c.report(fmt.Sprintf("%s map: leaf %x: %v", in, k, err))
			return nil
		}
		if !slices.Contains(volumes, v) {
			volumes = append(volumes, v)
			if c.p.Volume(v) == nil {
				c.report(fmt.Sprintf("%s map: pages of volume %s, which doesn't exist", in, v))
			}
		}
		for i := range int64(leafPages) {
			c.entry(in, v, leaf*leafPages+i, decodeEntry(b[i*entrySize:]))
		}
		return nil
	})
	return err
}

func (c *checker) entry(in bucket, v array.VolumeID, page int64, e entry) {
	if e.slot == 0 {
		return
	}
	name := fmt.Sprintf("%s map: volume %s page %d", in, v, page)
	slot := int64(e.slot - 1)
	if e.birth == 0 {
		c.report(name + " has a slot but no birth")
	}
	if other, ok := c.owner[slot]; ok {
		c.report(fmt.Sprintf("%s is in slot %d, and so is %s", name, slot, other))
	}
	c.owner[slot] = name
	if (slot+1)*block.Page > c.p.fileSize {
		c.report(fmt.Sprintf("%s is in slot %d, beyond the page file's end", name, slot))
		return
	}
	if !c.content {
		return
	}
	if err := c.p.readPart(c.buf, 0, &e); err != nil {
		c.report(fmt.Sprintf("%s in slot %d: %v", name, slot, err))
	}
}

// allocation compares the slots met with those that the map says are used.
func (c *checker) allocation() error {
	var s slots
	if err := s.load(c.tx); err != nil {
		c.report(err.Error())
		return nil
	}
	for slot := range c.owner {
		if slot/64 >= int64(len(s.words)) || s.words[slot/64]>>(slot%64)&1 == 0 {
			c.report(fmt.Sprintf("%s is in slot %d, which counts as free", c.owner[slot], slot))
		}
	}
	for i, w := range s.words {
		for b := range int64(64) {
			slot := int64(i)*64 + b
			if _, ok := c.owner[slot]; !ok && w>>b&1 == 1 {
				c.report(fmt.Sprintf("slot %d counts as used but no page is in it", slot))
			}
		}
	}
	return nil
}
