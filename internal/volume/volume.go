// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

// Volume is one volume of a pool.
type Volume struct {
	p     *Pool
	id    array.VolumeID
	group array.GroupID
	mu    sync.RWMutex
	// spec, over, turn and gone are guarded by mu.
	spec VolumeSpec
	over overlay
	// turn counts the changes of the map that freed slots or replaced records of
	// the overlay.
	turn uint64
	gone bool
	// seq counts the records applied since the start.
	seq uint64
	// hidden says that a resync is under way: the overlay isn't shown.
	hidden bool
}

func newVolume(p *Pool, s VolumeSpec) *Volume {
	v := &Volume{p: p, id: s.ID, group: s.Group, spec: s}
	v.over.freed = v.letGo
	return v
}

// letGo gives back the memory of a record. v.mu is held.
func (v *Volume) letGo(o *owner) {
	if o.buf != nil {
		o.buf.Release()
	}
	v.p.mu.Lock()
	v.p.overlay -= o.cost
	v.p.mu.Unlock()
}

// Spec returns what the volume is.
func (v *Volume) Spec() VolumeSpec {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.spec
}

// Apply takes up a committed record. Without a Buf the payload is copied.
func (v *Volume) Apply(r journal.Record) error {
	if err := v.apply(&r); err != nil {
		return fmt.Errorf("apply record %s to volume %s: %w", r.Pos, v.id, err)
	}
	v.p.Advance(r.Group, r.Pos.Place)
	return nil
}

func (v *Volume) apply(r *journal.Record) error {
	if r.Kind == journal.Entry {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case r.Offset < 0 || r.Length < 0 || r.Offset > v.spec.Size || r.Length > v.spec.Size-r.Offset:
		return array.Errorf(array.Range, "range %d+%d is beyond its size %d", r.Offset, r.Length, v.spec.Size)
	case r.Kind == journal.Data && int64(len(r.Payload)) != r.Length:
		return array.Errorf(array.Invalid, "%d bytes for a length of %d", len(r.Payload), r.Length)
	case v.gone:
		return array.Errorf(array.NotFound, "it was removed")
	}
	if r.Length == 0 {
		return nil
	}
	v.seq++
	e := extent{
		start: r.Offset, end: r.Offset + r.Length, place: r.Pos.Place, seq: v.seq,
		owner: &owner{extents: 1, cost: cost(len(r.Payload))},
	}
	if r.Kind == journal.Data {
		e.data = r.Payload
		if r.Buf != nil {
			r.Buf.Retain()
			e.owner.buf = r.Buf
		} else {
			e.data = slices.Clone(e.data)
		}
	}
	v.p.mu.Lock()
	v.p.overlay += e.owner.cost
	if v.p.overlay > v.p.o.Overlay/4 {
		v.p.wake()
	}
	v.p.mu.Unlock()
	if e.data == nil && e.pages() > longZeros {
		v.zeroLong(e)
		return nil
	}
	v.over.put(e)
	return nil
}

// zeroLong puts a long range of zeros. At destage only those of its pages count
// that have a slot, so pages whose data never came that far are kept by themselves:
// without a birth a copy by pages would leave them as the other array has them.
func (v *Volume) zeroLong(e extent) {
	e.long = true
	var pages []int64
	v.over.each(e.start, e.end, func(x *extent) bool {
		if x.long {
			return true
		}
		for n := x.start / block.Page; n <= (x.end-1)/block.Page; n++ {
			if len(pages) == 0 || pages[len(pages)-1] != n {
				pages = append(pages, n)
			}
		}
		return true
	})
	v.over.put(e)
	for _, n := range pages {
		start, end := max(e.start, n*block.Page), min(e.end, (n+1)*block.Page)
		if start < end {
			one := e.part(start, end)
			one.long = false
			e.owner.extents++
			v.over.put(one)
		}
	}
}

// Advance says that all of a group's records up to place have been applied; for
// entries, which change no volume.
func (p *Pool) Advance(id array.GroupID, place array.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[id]
	if g == nil {
		g = &groupPlaces{}
		p.groups[id] = g
	}
	g.applied = max(g.applied, place)
}

// maxTurns bounds how often a read begins again because pages moved under it.
const maxTurns = 1000

// Read fills dst with the volume's content at off.
//
// It holds no lock while it reads the disk. Instead it remembers the volume's turn
// from before it looks up the pages, and begins again if that has changed when the
// bytes are in hand: only then may a slot have been written by somebody else.
func (v *Volume) Read(dst []byte, off int64) error {
	_, err := v.read(dst, off, false)
	if err != nil {
		return fmt.Errorf("read volume %s at %d: %w", v.Spec().ID, off, err)
	}
	return nil
}

// read also returns the latest birth of the pages. With raw it reads the shadow of
// a resync under way and shows what was applied to it.
func (v *Volume) read(dst []byte, off int64, raw bool) (array.Place, error) {
	for range maxTurns {
		v.mu.RLock()
		turn, size, gone := v.turn, v.spec.Size, v.gone
		v.mu.RUnlock()
		if gone {
			return 0, array.Errorf(array.NotFound, "it was removed")
		}
		if off < 0 || off > size || int64(len(dst)) > size-off {
			return 0, array.Errorf(array.Range, "range %d+%d is beyond its size %d", off, len(dst), size)
		}
		entries, err := v.lookup(off, int64(len(dst)), raw)
		if err != nil {
			return 0, err
		}
		gaps, birth, same := v.copyOverlay(dst, off, turn, raw)
		if !same {
			continue
		}
		err = v.readGaps(dst, off, gaps, entries)
		v.mu.RLock()
		same = v.turn == turn
		v.mu.RUnlock()
		if same {
			for _, e := range entries {
				birth = max(birth, e.birth)
			}
			return birth, err
		}
	}
	return 0, array.Errorf(array.Busy, "its pages moved %d times", maxTurns)
}

// lookup returns the entries of the pages that the range touches.
func (v *Volume) lookup(off, n int64, raw bool) ([]entry, error) {
	if n == 0 {
		return nil, nil
	}
	first, last := off/block.Page, (off+n-1)/block.Page
	entries := make([]entry, last-first+1)
	layered := raw || v.p.state(v.group) == merging
	err := v.p.db.View(func(tx *bolt.Tx) (err error) {
		for i := range entries {
			if entries[i], err = lookupLayered(tx, v.id, first+int64(i), layered); err != nil {
				return err
			}
		}
		return nil
	})
	return entries, err
}

func lookupLayered(tx *bolt.Tx, v array.VolumeID, page int64, layered bool) (entry, error) {
	if layered {
		if e, err := lookup(tx, shadowBucket, v, page); err != nil || e.birth != 0 {
			return e, err
		}
	}
	return lookup(tx, pageBucket, v, page)
}

type span struct{ start, end int64 }

// copyOverlay copies what the overlay has, and returns the ranges it hasn't and
// the latest place of what it has.
func (v *Volume) copyOverlay(dst []byte, off int64, turn uint64, raw bool) (gaps []span, birth array.Place, same bool) {
	end := off + int64(len(dst))
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.turn != turn {
		return nil, 0, false
	}
	if v.hidden && !raw {
		return []span{{off, end}}, 0, true
	}
	at := off
	v.over.each(off, end, func(e *extent) bool {
		from, to := max(e.start, off), min(e.end, end)
		if from > at {
			gaps = append(gaps, span{at, from})
		}
		if e.data == nil {
			clear(dst[from-off : to-off])
		} else {
			copy(dst[from-off:to-off], e.data[from-e.start:])
		}
		birth = max(birth, e.place)
		at = to
		return true
	})
	if at < end {
		gaps = append(gaps, span{at, end})
	}
	return gaps, birth, true
}

// readGaps fills ranges from pages.
func (v *Volume) readGaps(dst []byte, off int64, gaps []span, entries []entry) error {
	first := off / block.Page
	for _, g := range gaps {
		for at := g.start; at < g.end; {
			page := at / block.Page
			to := min(g.end, (page+1)*block.Page)
			part := dst[at-off : to-off]
			e := &entries[page-first]
			if e.slot == 0 {
				clear(part)
			} else {
				if err := v.p.readPart(part, at%block.Page, e); err != nil {
					return v.bad(page, e, err)
				}
			}
			at = to
		}
	}
	return nil
}

// readPart reads a part of a page by whole blocks, and checks them.
func (p *Pool) readPart(dst []byte, in int64, e *entry) error {
	from := in / blockSize * blockSize
	to := (in + int64(len(dst)) + blockSize - 1) / blockSize * blockSize
	b := dst
	if in != from || int64(len(dst)) != to-from || !vfs.Aligned(dst) {
		scratch, ok := p.scratch.Get().(*[]byte)
		if !ok {
			fresh := vfs.NewBuffer(block.Page)
			scratch = &fresh
		}
		defer p.scratch.Put(scratch)
		b = (*scratch)[:to-from]
	}
	if _, err := p.pages.ReadAt(b, slotOffset(e.slot)+from); err != nil {
		return err
	}
	for i := range (to - from) / blockSize {
		if got, want := blockSum(b[i*blockSize:(i+1)*blockSize]), e.crc[from/blockSize+i]; got != want && !p.o.NoChecksum {
			return fmt.Errorf("checksum is %08x, not %08x", got, want)
		}
	}
	copy(dst, b[in-from:])
	return nil
}

// Extent returns how many bytes from off on are alike mapped or not, at least to
// the page's end and at most 1 GiB.
func (v *Volume) Extent(off int64) (n int64, mapped bool, err error) {
	size := v.Spec().Size
	if off < 0 || off >= size {
		return 0, false, fmt.Errorf("extent of volume %s: %w", v.id, array.Errorf(array.Range, "offset %d is beyond its size %d", off, size))
	}
	layered := v.p.state(v.group) == merging
	err = v.p.db.View(func(tx *bolt.Tx) error {
		first := off / block.Page
		for page := first; page*block.Page < min(size, off+1<<30); page++ {
			e, err := lookupLayered(tx, v.id, page, layered)
			if err != nil {
				return err
			}
			is := v.mappedIn(page, e.slot != 0)
			if page == first {
				mapped = is
			} else if is != mapped {
				return nil
			}
			n = min(size, (page+1)*block.Page) - off
		}
		return nil
	})
	return n, mapped, err
}

// mappedIn says whether a page will be mapped once the overlay is on pages.
func (v *Volume) mappedIn(page int64, onDisk bool) bool {
	start, end := page*block.Page, (page+1)*block.Page
	zeroed, data := int64(0), false
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.hidden {
		return onDisk
	}
	v.over.each(start, end, func(e *extent) bool {
		if e.data != nil {
			data = true
			return false
		}
		zeroed += min(e.end, end) - max(e.start, start)
		return true
	})
	return data || (onDisk && zeroed < min(end, v.spec.Size)-start)
}
