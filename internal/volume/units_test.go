// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"

	"github.com/perdure/perdure/internal/block"
)

// scatteredUnits have every other page free in the first half, and all in the second.
func scatteredUnits(limit int64) *units {
	s := &units{dirty: map[int64]struct{}{}, limit: limit}
	s.grow(limit)
	for at := int64(0); at < limit/2; at += 2 * pageUnits {
		s.set(run{at, pageUnits}, true)
	}
	return s
}

// TestPagesSideBySide takes pages where some are free one by one and others in stretches.
func TestPagesSideBySide(t *testing.T) {
	s := scatteredUnits(4096)
	sizes := make([]int, 64)
	for i := range sizes {
		sizes[i] = pageUnits
	}
	addrs, err := s.takeAll(sizes)
	ok(t, err)
	pages := make([]byte, len(sizes)*block.Page)
	var all []piece
	for i, a := range addrs {
		all = join(all, piece{a, pages[i*block.Page : (i+1)*block.Page]})
	}
	if want := len(pages) / longPiece; len(all) != want {
		t.Errorf("%d pages are written in %d pieces, and lie in a row enough for %d", len(sizes), len(all), want)
	}
}

// TestTakeAllOrNothing asks for more of one kind than is free, which is found out last or
// first: what was taken of the others is free again.
func TestTakeAllOrNothing(t *testing.T) {
	for name, sizes := range map[string][]int{
		"blocks": append([]int{pageUnits, pageUnits, 3, 2}, repeat(1, 4096)...),
		"pages":  append([]int{1, 1, 3, 2}, repeat(pageUnits, 1024)...),
		"packed": append([]int{1, 1, pageUnits}, repeat(3, 1024)...),
	} {
		s := scatteredUnits(4096)
		used := s.used
		if _, err := s.takeAll(sizes); err == nil {
			t.Errorf("%s: more was taken than is free", name)
		}
		if s.used != used {
			t.Errorf("%s: %d units were used before and %d are after nothing was taken", name, used, s.used)
		}
	}
}

func repeat(n, times int) []int {
	out := make([]int, times)
	for i := range out {
		out[i] = n
	}
	return out
}
