// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"sync"

	"github.com/perdure/perdure/internal/vfs"
)

// kept keeps units of the page file that hosts read, so that reading them again needs
// neither the disk nor a goroutine that waits for it. What is here was checked against the
// entry's checksum when it came, or has just been written, and is taken for the unit only
// by an entry that has the same one. A unit that is written is forgotten: see drop.
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

// keepWritten keeps units that were written in place of some that are here, which hosts read
// and so will read again, and others as long as there is room that nobody uses. What is
// packed is read through its page, and what must fail its checksum where it is.
// What is put here counts from when the map has its checksum, and not before.
func (p *Pool) keepWritten(changes []change) {
	if p.kept == nil {
		return
	}
	for i := range changes {
		c := &changes[i]
		if c.bytes == nil || c.e.packed || c.bad != 0 {
			continue
		}
		rest := c.bytes
		for u := range pageUnits {
			at, before := c.e.part(u), int64(noPart)
			if c.split() {
				if before = c.before.part(u); c.blocks>>u&1 == 0 || at == noPart {
					continue
				}
			}
			if p.kept.wants(at, before) {
				p.kept.put(at, c.e.crc[u], rest, p.kept.since(at))
			}
			rest = rest[unitSize:]
		}
	}
}

// wants reports whether a unit that is written should be here: if the one was that it is
// written in place of, or if there is room.
func (k *kept) wants(unit, before int64) bool {
	s := k.of(unit)
	s.mu.Lock()
	room := len(s.memo) < k.frames
	s.mu.Unlock()
	if room || before == noPart {
		return room
	}
	s = k.of(before)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[before]
	return ok
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
