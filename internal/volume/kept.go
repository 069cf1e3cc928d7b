// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"sync"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// kept keeps units of the page file that hosts read, so that reading them again needs
// neither the disk nor a goroutine that waits for it. What is here was checked against the
// entry's checksum when it came, and is taken for the unit only by an entry that has the
// same one. A unit that is written is forgotten: see drop.
//
// When it is full, the unit goes that was read least recently, nearly: each frame has a
// mark, set when it is read again, and a hand goes round, takes marks away, and takes the
// first frame without one. What is read once, as a backup does, pushes out only what was
// not read again for a whole round.
type kept struct {
	shards []keptShard
	frames int // of a shard
}

const (
	keptShards = 16
	// noFrame is the unit of a frame that has none.
	noFrame = -1
)

// keptShard has the units of some of the page groups.
type keptShard struct {
	mu    sync.Mutex
	at    map[int64]int32 // the frame of a unit
	memo  []keptFrame
	bytes []byte // of all frames; made with the first
	hand  int
	// drops counts what was forgotten: what was read before is not kept after it.
	drops uint64
}

type keptFrame struct {
	unit int64
	sum  uint32
	mark bool
}

// newKept returns a cache of about so many bytes, nil for none.
func newKept(bytes int64) *kept {
	frames := int(bytes / unitSize / keptShards)
	if frames < 1 {
		return nil
	}
	return &kept{shards: make([]keptShard, keptShards), frames: frames}
}

// of returns the shard of a unit. The units of a page are in one.
func (k *kept) of(unit int64) *keptShard {
	const spread = 0x9e3779b97f4a7c15 // so that strides don't meet in one
	return &k.shards[uint64(unit/pageUnits)*spread>>60]
}

// get copies a part of a unit, from the in-th byte on, if it is here.
func (k *kept) get(unit int64, sum uint32, dst []byte, in int64) bool {
	s := k.of(unit)
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.at[unit]
	if !ok || s.memo[f].sum != sum {
		return false
	}
	s.memo[f].mark = true
	at := int64(f)*unitSize + in
	copy(dst, s.bytes[at:at+int64(len(dst))])
	return true
}

// since returns what put needs, from before a unit is read from the disk.
func (k *kept) since(unit int64) uint64 {
	s := k.of(unit)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drops
}

// put keeps a unit that was read and checked after since, unless one of the shard was
// written meanwhile.
func (k *kept) put(unit int64, sum uint32, b []byte, since uint64) {
	s := k.of(unit)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops != since {
		return
	}
	f, ok := s.at[unit]
	if !ok {
		f = s.room(k.frames)
		s.at[unit] = f
	}
	s.memo[f] = keptFrame{unit: unit, sum: sum}
	copy(s.bytes[int64(f)*unitSize:], b[:unitSize])
}

// room returns a frame to use. s.mu is held.
func (s *keptShard) room(frames int) int32 {
	if s.bytes == nil {
		s.at, s.bytes = make(map[int64]int32, frames), vfs.NewBuffer(frames*unitSize)
	}
	if len(s.memo) < frames {
		s.memo = append(s.memo, keptFrame{unit: noFrame})
		return int32(len(s.memo) - 1)
	}
	for s.memo[s.hand].mark {
		s.memo[s.hand].mark = false
		s.hand = (s.hand + 1) % frames
	}
	f := s.hand
	s.hand = (s.hand + 1) % frames
	if u := s.memo[f].unit; u != noFrame {
		delete(s.at, u)
	}
	return int32(f)
}

// drop forgets n units from the first on. It is called when they were written, or may have
// been: before the map turns to them, and while no entry that readers may still have is
// believed with what it finds there.
func (k *kept) drop(first int64, n int) {
	if k == nil {
		return
	}
	for unit := first; unit < first+int64(n); {
		s := k.of(unit)
		end := min((unit/pageUnits+1)*pageUnits, first+int64(n))
		s.mu.Lock()
		s.drops++
		for ; unit < end; unit++ {
			if f, ok := s.at[unit]; ok {
				delete(s.at, unit)
				s.memo[f] = keptFrame{unit: noFrame}
			}
		}
		s.mu.Unlock()
	}
}

// ReadCached is Read for what can be had without waiting for a disk: what was applied and
// is in memory, zeros, and what was read lately. It reports false where it has to wait, or
// where the answer is not simple; dst may have been written to by then.
func (v *Volume) ReadCached(dst []byte, off int64) bool {
	if v.p.kept == nil || off < 0 {
		return false
	}
	v.mu.RLock() // pages can't move under it
	defer v.mu.RUnlock()
	if v.gone || v.hidden || off > v.spec.Size || int64(len(dst)) > v.spec.Size-off {
		return false
	}
	shape := v.p.shape.Load()
	if v.layered(hostView) || len(v.path()) != 1 {
		return false
	}
	for len(dst) > 0 {
		n := min(int64(len(dst)), block.Page-off%block.Page)
		if !v.pageCached(dst[:n], off) {
			return false
		}
		dst, off = dst[n:], off+n
	}
	return v.p.shape.Load() == shape
}

// pageCached is ReadCached within a page. v.mu is read-locked.
func (v *Volume) pageCached(dst []byte, off int64) bool {
	if some, all := v.layersCached(dst, off); some {
		return all
	}
	page := off / block.Page
	l, _ := v.p.cache.get(leafName{pageBucket, v.id, page / leafPages})
	if l == nil {
		return false
	}
	e := &l[page%leafPages]
	if e.kind != stored {
		clear(dst)
		return true
	}
	if e.packed {
		return false
	}
	for len(dst) > 0 {
		u, in := int(off%block.Page/unitSize), off%unitSize
		n := min(int64(len(dst)), unitSize-in)
		if at := e.part(u); at == noPart {
			clear(dst[:n])
		} else if !v.p.kept.get(at, e.crc[u], dst[:n], in) {
			return false
		}
		dst, off = dst[n:], off+n
	}
	return true
}

// layersCached copies a range that one extent in memory has whole. some says that the
// layers have anything of it.
func (v *Volume) layersCached(dst []byte, off int64) (some, all bool) {
	end := off + int64(len(dst))
	look := func(o *overlay) {
		o.each(off, end, func(e *extent) bool {
			some = true
			if all = e.start <= off && end <= e.end; !all {
				return false
			}
			if e.data == nil {
				clear(dst)
			} else {
				copy(dst, e.data[off-e.start:])
			}
			return false
		})
	}
	look(&v.over)
	for i := len(v.sealed) - 1; i >= 0 && !some; i-- {
		look(&v.sealed[i].over)
	}
	return some, all
}

// readKeeping is readPart, and keeps the units that it read: whole ones, also where dst has
// parts of them only.
func (p *Pool) readKeeping(dst []byte, in int64, e *entry) error {
	if p.kept == nil || e.packed {
		return p.readPart(dst, in, e)
	}
	first, end := int(in/unitSize), int((in+int64(len(dst))+unitSize-1)/unitSize)
	var since [pageUnits]uint64
	for u := first; u < end; u++ {
		if at := e.part(u); at != noPart {
			since[u] = p.kept.since(at)
		}
	}
	b := dst
	if head := in - int64(first)*unitSize; head != 0 || len(dst) != (end-first)*unitSize || !vfs.Aligned(dst) {
		page := p.scratchPage()
		defer p.scratch.Put(page)
		b = (*page)[:(end-first)*unitSize]
		defer func() { copy(dst, b[head:]) }()
	}
	if err := p.readUnits(b, e, first); err != nil {
		return err
	}
	for u := first; u < end; u++ {
		if at := e.part(u); at != noPart {
			p.kept.put(at, e.crc[u], b[(u-first)*unitSize:], since[u])
		}
	}
	return nil
}
