// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
)

// Volume is one volume of a pool.
type Volume struct {
	p     *Pool
	id    array.VolumeID
	group array.GroupID
	snap  *snapshot      // set if it is one
	base  array.VolumeID // the snapshot it was made from, 0 for none
	steps atomic.Pointer[[]step]
	// pending and cap, in units, are guarded by the pool's mu: what isn't on pages may take,
	// and what hosts may take, 0 for all.
	pending, cap int64

	mu sync.RWMutex
	// spec, over, sealed, turn and gone are guarded by mu.
	spec VolumeSpec
	over overlay
	// sealed are older records than over's, oldest first, each layer up to a snapshot.
	sealed []*layer
	// turn counts the changes of the map that freed slots or replaced records of
	// the overlay.
	turn uint64
	gone bool
	// grown says that the size is larger than the map knows.
	grown bool
	// hidden says that a resync is under way: the overlay isn't shown.
	hidden bool
}

func newVolume(p *Pool, s VolumeSpec) *Volume {
	v := &Volume{p: p, id: s.ID, group: s.Group, base: s.Base, spec: s}
	if s.Of != 0 {
		v.snap = &snapshot{s.Of, s.Place}
	}
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
	v.p.pending -= o.units
	v.pending -= o.units
	v.p.mu.Unlock()
	*o = owner{}
	v.p.owners.Put(o)
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
	if again, err := v.p.settled(v.group, r.Pos.Place); again || err != nil {
		return err
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
	case v.snap != nil:
		return array.Errorf(array.Invalid, "it is a snapshot, which never changes")
	}
	if r.Length == 0 {
		return nil
	}
	e := extent{start: r.Offset, end: r.Offset + r.Length, place: r.Pos.Place, owner: v.p.owners.Get().(*owner)}
	e.owner.extents, e.owner.cost = 1, cost(len(r.Payload))
	if r.Kind == journal.Data {
		e.data = r.Payload
		if o, ok := r.Outside.(*Outside); ok && o.p == v.p && o.off == r.Offset {
			e.out = o
		}
		if r.Buf != nil {
			r.Buf.Retain()
			e.owner.buf = r.Buf
		} else {
			e.data = slices.Clone(e.data)
		}
	}
	v.p.mu.Lock()
	v.p.overlay += e.owner.cost
	if e.data != nil {
		e.owner.units = e.pages() * pageUnits
		v.p.pending += e.owner.units
		v.pending += e.owner.units
	}
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

// settled reports whether a record is on pages for good, or what came over it since. After
// a restart a group is applied again from where its slowest pool stands: a destage here
// before all of that has come would take pages back behind the destaged place, and the
// next restart might not begin early enough to bring them forward again. During a resync
// places may be those of another lineage.
//
// Only what was on pages when the pool was opened can come again. Anything else at a place
// that is on pages is of another order, and must not be taken for what is there.
func (p *Pool) settled(id array.GroupID, place array.Place) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[id]
	if g == nil || g.state != steady || place > g.destaged {
		return false, nil
	}
	if place > g.opened {
		return false, array.Errorf(array.Conflict, "all of its group up to place %d is on pages, of which up to %d may come again", g.destaged, g.opened)
	}
	return true, nil
}

// zeroLong puts a long range of zeros. At destage only those of its pages count
// that have a slot, so pages whose data never came that far are kept by themselves:
// without a birth a copy by pages would leave them as the other array has them.
func (v *Volume) zeroLong(e extent) {
	e.long = true
	var pages []int64
	seen := map[int64]bool{}
	for _, l := range v.layers(everyLayer) {
		l.each(e.start, e.end, func(x *extent) bool {
			for n := x.start / block.Page; !x.long && n <= (x.end-1)/block.Page; n++ {
				if !seen[n] {
					seen[n] = true
					pages = append(pages, n)
				}
			}
			return true
		})
	}
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

// extentLooks bounds how many pages one look of Extent takes in.
const extentLooks = 1 << 12

// Extent returns how many bytes from off on are alike mapped or not, at least to
// the page's end and at most 64 MiB.
func (v *Volume) Extent(off int64) (n int64, mapped bool, err error) {
	for range maxTurns {
		shape := v.p.shape.Load()
		v.mu.RLock()
		turn, size := v.turn, v.spec.Size
		v.mu.RUnlock()
		if off < 0 || off >= size {
			return 0, false, fmt.Errorf("extent of volume %s: %w", v.id, array.Errorf(array.Range, "offset %d is beyond its size %d", off, size))
		}
		n, mapped, err = v.extent(off, size)
		v.mu.RLock()
		same := v.turn == turn && v.p.shape.Load() == shape
		v.mu.RUnlock()
		if same || err != nil {
			return n, mapped, err
		}
	}
	return 0, false, array.Errorf(array.Busy, "extent of volume %s: its pages moved %d times", v.id, maxTurns)
}

func (v *Volume) extent(off, size int64) (n int64, mapped bool, err error) {
	path, layered := v.path(), v.layered(hostView)
	err = v.p.db.View(func(tx *bolt.Tx) error {
		first := off / block.Page
		for page := first; page < first+extentLooks && page*block.Page < size; page++ {
			e, err := find(tx, path, page, layered)
			if err != nil {
				return err
			}
			is := v.mappedIn(page, e.kind == stored)
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
	v.cover(start, end, hostView, func(from, to int64, e *extent) {
		if e.data != nil {
			data = true
		} else {
			zeroed += to - from
		}
	})
	return data || (onDisk && zeroed < min(end, v.spec.Size)-start)
}
