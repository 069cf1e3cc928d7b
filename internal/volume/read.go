// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// maxTurns bounds how often a read begins again because pages moved under it.
const maxTurns = 1000

// Read fills dst with the volume's content at off.
//
// It holds no lock while it reads the disk. Instead it remembers the volume's turn
// from before it looks up the pages, and begins again if that has changed when the
// bytes are in hand: only then may a slot have been written by somebody else.
func (v *Volume) Read(dst []byte, off int64) error {
	_, err := v.read(dst, off, hostView, v.p.readKeeping)
	if err != nil {
		return fmt.Errorf("read volume %s at %d: %w", v.Spec().ID, off, err)
	}
	return nil
}

// view says what a read shows.
type view int

const (
	// hostView is what hosts see: all that was applied; during a resync the kept state.
	hostView view = iota
	// everyLayer is all that was applied; during a resync, over its shadow.
	everyLayer
)

// layers returns the layers that a view shows, newest first. v.mu is held.
func (v *Volume) layers(w view) []*overlay {
	if w == hostView && v.hidden {
		return nil
	}
	all := make([]*overlay, 0, len(v.sealed)+1)
	all = append(all, &v.over)
	for i := range v.sealed {
		all = append(all, &v.sealed[len(v.sealed)-1-i].over)
	}
	return all
}

// clear removes what overlaps [start, end) and matches from all layers. v.mu is held.
func (v *Volume) clear(start, end int64, match func(*extent) bool) {
	for _, l := range v.layers(everyLayer) {
		l.clear(start, end, match)
	}
}

// reader is a way to read a part of a stored page.
type reader func(dst []byte, in int64, e *entry) error

// read also returns the latest birth of the pages.
func (v *Volume) read(dst []byte, off int64, w view, from reader) (array.Place, error) {
	for range maxTurns {
		shape := v.p.shape.Load()
		v.mu.RLock()
		turn, size, gone := v.turn, v.spec.Size, v.gone
		v.mu.RUnlock()
		if gone {
			return 0, array.Errorf(array.NotFound, "it was removed")
		}
		if off < 0 || off > size || int64(len(dst)) > size-off {
			return 0, array.Errorf(array.Range, "range %d+%d is beyond its size %d", off, len(dst), size)
		}
		entries, err := v.lookup(off, int64(len(dst)), w)
		if err != nil {
			return 0, err
		}
		gaps, birth, same := v.copyLayers(dst, off, turn, w)
		if !same {
			continue
		}
		err = v.readGaps(dst, off, gaps, entries, from)
		v.mu.RLock()
		same = v.turn == turn && v.p.shape.Load() == shape
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
func (v *Volume) lookup(off, n int64, w view) ([]entry, error) {
	if n == 0 {
		return nil, nil
	}
	first, last := off/block.Page, (off+n-1)/block.Page
	entries := make([]entry, last-first+1)
	path, layered := v.path(), v.layered(w)
	if len(path) == 1 && !layered {
		return entries, v.lookupAlone(first, entries)
	}
	err := v.p.db.View(func(tx *bolt.Tx) (err error) {
		for i := range entries {
			if entries[i], err = find(tx, path, first+int64(i), layered); err != nil {
				return err
			}
		}
		return nil
	})
	return entries, err
}

// lookupAlone is lookup for a volume that reads through no other.
func (v *Volume) lookupAlone(first int64, entries []entry) error {
	for i := 0; i < len(entries); {
		page := first + int64(i)
		l, err := v.p.leafAt(v.id, page/leafPages)
		if err != nil {
			return err
		}
		i += copy(entries[i:], l[page%leafPages:])
	}
	return nil
}

// layered reports whether a view shows the shadow of the volume's resync.
func (v *Volume) layered(w view) bool {
	if v.snap != nil {
		return false // it shows what was before
	}
	s := v.p.state(v.group)
	return s == merging || s == resyncing && w != hostView
}

type span struct{ start, end int64 }

// copyLayers copies what the layers have, and returns the ranges they haven't and the
// latest place of what they have.
func (v *Volume) copyLayers(dst []byte, off int64, turn uint64, w view) (gaps []span, birth array.Place, same bool) {
	end := off + int64(len(dst))
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.turn != turn {
		return nil, 0, false
	}
	gaps = v.cover(off, end, w, func(from, to int64, e *extent) {
		if e.data == nil {
			clear(dst[from-off : to-off])
		} else {
			copy(dst[from-off:to-off], e.data[from-e.start:])
		}
		birth = max(birth, e.place)
	})
	return gaps, birth, true
}

// cover calls fn for the parts of a range that the layers of a view have, each with the
// newest extent, and returns the parts they haven't. v.mu is held.
func (v *Volume) cover(start, end int64, w view, fn func(from, to int64, e *extent)) []span {
	gaps := []span{{start, end}}
	for _, l := range v.layers(w) {
		var left []span
		for _, g := range gaps {
			at := g.start
			l.each(g.start, g.end, func(e *extent) bool {
				from, to := max(e.start, g.start), min(e.end, g.end)
				if from > at {
					left = append(left, span{at, from})
				}
				fn(from, to, e)
				at = to
				return true
			})
			if at < g.end {
				left = append(left, span{at, g.end})
			}
		}
		gaps = left
	}
	return gaps
}

// readGaps fills ranges from pages.
func (v *Volume) readGaps(dst []byte, off int64, gaps []span, entries []entry, from reader) error {
	first := off / block.Page
	for _, g := range gaps {
		for at := g.start; at < g.end; {
			page := at / block.Page
			to := min(g.end, (page+1)*block.Page)
			part := dst[at-off : to-off]
			if e := &entries[page-first]; e.kind != stored {
				clear(part)
			} else if err := from(part, at%block.Page, e); err != nil {
				return v.bad(page, e, err)
			}
			at = to
		}
	}
	return nil
}
