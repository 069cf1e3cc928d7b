// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"slices"
	"sort"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// extent is a range of a volume that differs from its pages. Extents of an overlay
// are disjoint and sorted.
type extent struct {
	start, end int64
	place      array.Place
	data       []byte // nil for zeros
	long       bool   // part of a long range of zeros, of which pages without a slot don't count
	owner      *owner
	out        *Outside // of the record, if it is on pages already
}

// owner is the memory that extents of one record share.
type owner struct {
	extents int
	buf     *block.Buffer // nil if the bytes are the overlay's own
	cost    int64
	units   int64 // that its pages may take
}

// overlay holds what was applied and isn't on pages yet. It is a list of short
// sorted lists, so that an insertion moves little. The volume's lock guards it.
//
// Invariant: chunks are not empty; the extents of all chunks in order are sorted
// and disjoint.
type overlay struct {
	chunks [][]extent
	// freed is told when an owner has no extent left.
	freed func(*owner)
}

const chunkMax = 128

// find returns the chunk and index of the first extent that ends beyond off.
func (o *overlay) find(off int64) (c, i int) {
	c = sort.Search(len(o.chunks), func(c int) bool { return o.chunks[c][len(o.chunks[c])-1].end > off })
	if c == len(o.chunks) {
		return c, 0
	}
	return c, sort.Search(len(o.chunks[c]), func(i int) bool { return o.chunks[c][i].end > off })
}

// each calls fn for the extents that overlap [start, end), in order, until fn
// returns false.
func (o *overlay) each(start, end int64, fn func(*extent) bool) {
	c, i := o.find(start)
	for ; c < len(o.chunks); c, i = c+1, 0 {
		for ; i < len(o.chunks[c]); i++ {
			e := &o.chunks[c][i]
			if e.start >= end || !fn(e) {
				return
			}
		}
	}
}

// longZeros is above how many pages a range of zeros is taken for long.
const longZeros = 2 * leafPages

// pages returns how many pages e begins, ends or covers.
func (e *extent) pages() int64 { return (e.end-1)/block.Page - e.start/block.Page + 1 }

// part returns the piece of e from start to end.
func (e extent) part(start, end int64) extent {
	if e.data != nil {
		e.data = e.data[start-e.start : end-e.start]
	}
	e.start, e.end = start, end
	return e
}

// everything matches all extents.
func everything(*extent) bool { return true }

// clear removes what overlaps [start, end) and matches.
func (o *overlay) clear(start, end int64, match func(*extent) bool) {
	c, i := o.find(start)
	for c < len(o.chunks) {
		if i == len(o.chunks[c]) {
			c, i = c+1, 0
			continue
		}
		if o.chunks[c][i].start >= end {
			break
		}
		if !match(&o.chunks[c][i]) {
			i++
			continue
		}
		e := o.chunks[c][i]
		var parts [2]extent
		rest := parts[:0]
		if e.start < start {
			rest = append(rest, e.part(e.start, start))
		}
		if e.end > end {
			rest = append(rest, e.part(end, e.end))
		}
		e.owner.extents += len(rest) - 1
		if e.owner.extents == 0 {
			o.freed(e.owner)
		}
		o.chunks[c] = slices.Replace(o.chunks[c], i, i+1, rest...)
		i += len(rest)
		if len(o.chunks[c]) == 0 {
			o.chunks = slices.Delete(o.chunks, c, c+1)
			i = 0
		}
	}
}

// put adds an extent over whatever was there. e.owner.extents must count it.
func (o *overlay) put(e extent) {
	o.clear(e.start, e.end, everything)
	c, i := o.find(e.start)
	if c == len(o.chunks) {
		if c == 0 {
			o.chunks = [][]extent{{e}}
			return
		}
		c, i = c-1, len(o.chunks[c-1])
	}
	o.chunks[c] = slices.Insert(o.chunks[c], i, e)
	if n := len(o.chunks[c]); n > chunkMax {
		tail := slices.Clone(o.chunks[c][n/2:])
		clear(o.chunks[c][n/2:]) // let go of what moved
		o.chunks[c] = o.chunks[c][: n/2 : n/2]
		o.chunks = slices.Insert(o.chunks, c+1, tail)
	}
}
