// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestChangedAt lists what a snapshot shows of after a place, whatever is written since, and
// what newer snapshots come and go.
func TestChangedAt(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<40)
	place := array.Place(0)
	write := func(pages ...int64) {
		for _, n := range pages {
			place++
			ok(t, v.Apply(data(place, n*block.Page, page(byte(place)))))
		}
	}
	freeze := func(id array.VolumeID) { place++; ok(t, v.Freeze(place, id)); p.Advance(1, place) }
	write(1, 2, 3) // births 1, 2, 3
	freeze(2)
	write(2, 70000, 5) // births 5, 6, 7
	freeze(3)
	write(3, 2, 9)
	freeze(4)
	write(5)
	ok(t, p.Flush(1))
	want := func(snap array.VolumeID, after array.Place, want ...int64) {
		t.Helper()
		var got []int64
		ok(t, p.ChangedAt(snap, after, 0, func(n int64, birth array.Place) bool {
			if birth != 0 {
				got = append(got, n)
			}
			return true
		}))
		if !slices.Equal(got, want) {
			t.Errorf("snapshot %v after %d: pages %v, want %v", snap, after, got, want)
		}
	}
	want(2, 0, 1, 2, 3)
	want(2, 2, 3)
	want(3, 0, 1, 2, 3, 5, 70000)
	want(3, 4, 2, 5, 70000)
	b := page(0)
	birth, err := p.PageAt(3, 2, b)
	ok(t, err)
	if birth != 5 || !bytes.Equal(b, page(5)) {
		t.Errorf("page 2 of snapshot 3 was born at %d and holds %d", birth, b[0])
	}
	ok(t, p.Drop(1, 4, 99))
	want(3, 4, 2, 5, 70000)
	ok(t, p.Drop(1, 2))
	want(3, 4, 2, 5, 70000)
	if err := p.ChangedAt(2, 0, 0, nil); array.KindOf(err) != array.NotFound {
		t.Errorf("a snapshot that is gone: %v", err)
	}
	if err := p.ChangedAt(v.Spec().ID, 0, 0, nil); array.KindOf(err) != array.NotFound {
		t.Errorf("a volume that is no snapshot: %v", err)
	}
	if p.Short() {
		t.Error("an empty pool is short of room")
	}
	ok(t, check(p))
}
