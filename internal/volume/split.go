// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Small writes scattered over a volume would each cost the reading of what is around them
// and the writing of a whole page. So of a page of which few blocks change, only those are
// written, to units of their own, next to those of other pages of the batch; the others
// stay where they are. Such a page is split, until most of it is written again.
//
// A page that is written whole is split too if some of its blocks are zeros: those take no
// unit.
//
// Units of a split page are its own: pages that a snapshot shows too, that are packed,
// deduplicated or on their way in a resync are written whole.

const (
	// noPart is a block of zeros, which has no unit.
	noPart = int64(1)<<addrBits - 1
	// partToCome is a block whose unit is not taken yet. It is never on disk.
	partToCome = int64(-1)
	// everyBlock are all blocks of a page.
	everyBlock = uint8(1<<pageUnits - 1)
	// mostParts is how many blocks of a page are written apart at most.
	mostParts = pageUnits / 2
)

// encodeParts writes where blocks lie, but for the first, which the entry has.
func (e *entry) encodeParts(b []byte) {
	var word [8]byte
	for i := 1; i < pageUnits; i++ {
		binary.LittleEndian.PutUint64(word[:], uint64(e.parts[i]))
		copy(b[(i-1)*addrBits/8:], word[:addrBits/8])
	}
}

func (e *entry) decodeParts(b []byte) {
	if !e.split {
		return
	}
	e.parts[0], e.addr = e.addr, 0
	for i := 1; i < pageUnits; i++ {
		var word [8]byte
		copy(word[:addrBits/8], b[(i-1)*addrBits/8:])
		e.parts[i] = int64(binary.LittleEndian.Uint64(word[:]))
	}
}

func (e *entry) partsStored() (n int) {
	for _, at := range e.parts {
		if at != noPart {
			n++
		}
	}
	return n
}

func (e *entry) soundParts() error {
	if e.packed || e.length != block.Page || e.partsStored() == 0 {
		return array.Errorf(array.Medium, "the map says that a page of %d bytes is split", e.length)
	}
	return nil
}

// part returns the unit of a block, noPart if it is of zeros.
func (e *entry) part(u int) int64 {
	switch {
	case e.kind != stored:
		return noPart
	case e.split:
		return e.parts[u]
	}
	return e.addr + int64(u)
}

// runs returns the units of a stored page.
func (e *entry) runs(buf *[pageUnits]run) []run {
	if e.kind != stored {
		return nil
	}
	if !e.split {
		return append(buf[:0], run{e.addr, e.units()})
	}
	out := buf[:0]
	for _, at := range e.parts {
		if at != noPart {
			out = append(out, run{at, 1})
		}
	}
	return out
}

// split reports whether the change leaves some blocks where they are.
func (c *change) split() bool { return c.blocks != 0 }

// replaces returns the blocks whose units the change frees.
func (c *change) replaces() (blocks uint8) {
	for u := range pageUnits {
		if c.blocks>>u&1 == 1 && c.before.part(u) != noPart {
			blocks |= 1 << u
		}
	}
	return blocks
}

// splitPages decides which pages of a batch are written in part, and drops the gaps that
// then need not be filled.
func (v *Volume) splitPages(into bucket, batch []int64, all []staged, entries []entry) error {
	spec := v.Spec()
	if v.p.o.Former || into != pageBucket || spec.Compress || spec.Provisioning == Dedup || len(v.path()) != 1 || v.layered(hostView) {
		return nil
	}
	newest := v.newest()
	return v.p.db.View(func(tx *bolt.Tx) error {
		for i := range all {
			s, e := &all[i], &entries[i]
			blocks := s.changed(batch[i])
			if s.whole != nil || len(s.buf) < block.Page || bits.OnesCount8(blocks) > mostParts || e.packed {
				continue
			}
			if e.kind == stored && !e.split && tx.Bucket([]byte(sharedBucket)).Get(numberKey(uint64(e.addr))) != nil {
				continue
			}
			if newest != nil {
				l, err := v.p.leafAt(newest.id, batch[i]/leafPages)
				if err != nil {
					return err
				}
				if l[batch[i]%leafPages].kind == nothing {
					continue // the snapshot shows what is there now
				}
			}
			s.blocks = blocks
			s.dropGaps(batch[i])
		}
		return nil
	})
}

// changed returns the blocks that the layer has something of.
func (s *staged) changed(page int64) uint8 {
	blocks := everyBlock
	for _, g := range s.gaps {
		from, to := g.start-page*block.Page, g.end-page*block.Page
		for u := (from + unitSize - 1) / unitSize; (u+1)*unitSize <= to; u++ {
			blocks &^= 1 << u
		}
	}
	return blocks
}

// dropGaps drops what is of blocks that stay where they are.
func (s *staged) dropGaps(page int64) {
	var left []span
	for _, g := range s.gaps {
		for at := g.start; at < g.end; {
			u := at%block.Page/unitSize + page*pageUnits
			to := min(g.end, (u+1)*unitSize)
			if s.blocks>>(u-page*pageUnits)&1 == 1 {
				left = append(left, span{at, to})
			}
			at = to
		}
	}
	s.gaps = left
}

// splitPage prepares a change that leaves some blocks where they are: it puts those that
// need units side by side at the beginning of room, and returns how much that took.
func (c *change) splitPage(room []byte) int {
	c.e.kind, c.e.length, c.e.split = stored, block.Page, true
	n := 0
	for u := range pageUnits {
		b := c.data[u*unitSize : (u+1)*unitSize]
		switch {
		case c.blocks>>u&1 == 0:
			c.e.parts[u] = c.before.part(u)
			c.e.crc[u] = c.before.crc[u]
		case c.bad>>u&1 == 0 && allZero(b):
			c.e.parts[u] = noPart
		default:
			c.e.parts[u] = partToCome
			n += copy(room[n:], b)
			c.sum(u, b)
		}
	}
	if c.e.partsStored() == 0 {
		c.e = entry{kind: zeroes, birth: c.e.birth}
		c.blocks = 0
		return 0
	}
	if n > 0 {
		c.bytes = room[:n]
	}
	c.e.addr = 0
	return n
}

// hasZeros reports whether some block of a page is zeros.
func hasZeros(page []byte) bool {
	for u := range pageUnits {
		if allZero(page[u*unitSize : (u+1)*unitSize]) {
			return true
		}
	}
	return false
}

// keeps reports whether a split page has units of the one before.
func (e *entry) keeps(before *entry) bool {
	for u := range pageUnits {
		if e.split && e.parts[u] != noPart && e.parts[u] == before.part(u) {
			return true
		}
	}
	return false
}

// scatter prepares changes once more for a pool in which no whole pages are free any more:
// each page takes units wherever they are. What packing and deduplication would save is
// lost with these pages, which is better than that there is no room for them.
func (p *Pool) scatter(changes []change) {
	room := p.packingRoom()
	for i := range changes {
		c := &changes[i]
		if c.data == nil || c.adopted || c.shared {
			continue
		}
		if !c.split() {
			c.blocks, c.before = everyBlock, entry{}
		}
		c.print, c.same, c.bytes = nil, nil, nil
		c.e = entry{birth: c.e.birth}
		room = room[c.splitPage(room):]
	}
}

// replaceParts frees the units of old that to hasn't.
func (e *edit) replaceParts(old, to entry) error {
	if old.kind == stored && !old.split && e.tx.Bucket([]byte(sharedBucket)).Get(numberKey(uint64(old.addr))) != nil {
		return array.Errorf(array.Medium, "a page in unit %d is shared, and was to be split", old.addr)
	}
	for u := range pageUnits {
		if at := old.part(u); at != noPart && at != to.parts[u] {
			e.freed = append(e.freed, run{at, 1})
		}
	}
	return nil
}

// readStored reads units of an entry, of zeros too.
func (p *Pool) readStored(b []byte, e *entry, first int) error {
	if !e.split {
		_, err := p.pages.ReadAt(b, (e.addr+int64(first))*unitSize)
		return err
	}
	n := len(b) / unitSize
	for i := 0; i < n; {
		at := e.parts[first+i]
		if at == noPart {
			clear(b[i*unitSize : (i+1)*unitSize])
			i++
			continue
		}
		to := i + 1
		for to < n && e.parts[first+to] == at+int64(to-i) && at+int64(to-i) != noPart {
			to++
		}
		if _, err := p.pages.ReadAt(b[i*unitSize:to*unitSize], at*unitSize); err != nil {
			return err
		}
		i = to
	}
	return nil
}
