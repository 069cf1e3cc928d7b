// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// twoPools is a group with a volume in each of two CPGs, the second of which is small.
type twoPools struct {
	*pages
	t  *testing.T
	vs []*volume.Volume
}

func newTwoPools(t *testing.T) *twoPools {
	w := &twoPools{pages: &pages{}, t: t}
	for i, limit := range []int64{400, 20} {
		p, err := volume.OpenPool(vfs.NewMem(), "pool", volume.Options{
			MapFile: filepath.Join(t.TempDir(), "map"), Limit: limit * block.Page, Grow: 16 * block.Page, Age: -1, NoSync: true,
		})
		w.ok(err)
		t.Cleanup(func() { _ = p.Close() })
		v, err := p.Create(volume.VolumeSpec{ID: array.VolumeID(i + 1), Group: 1, Size: 100 * block.Page})
		w.ok(err)
		w.add(p)
		w.vs = append(w.vs, v)
	}
	return w
}

func (w *twoPools) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// apply fills a page, with zeros if b is one.
func (w *twoPools) apply(v int, place array.Place, page int64, b byte) {
	w.t.Helper()
	r := journal.Record{Group: 1, Pos: array.Position{Place: place}, Kind: journal.Data, Volume: array.VolumeID(v + 1), Offset: page * block.Page, Length: block.Page, Payload: bytes.Repeat([]byte{b}, block.Page)}
	if b == 0 {
		r.Kind, r.Payload = journal.Zeros, nil
	}
	w.ok(w.vs[v].Apply(r))
	w.Advance(1, place)
}

func (w *twoPools) read(v int, page int64) byte {
	w.t.Helper()
	b := make([]byte, block.Page)
	w.ok(w.vs[v].Read(b, page*block.Page))
	return b[0]
}

// TestACopyOfTwoPoolsIsGivenUp: a copy into two CPGs, of which the second is too full for its
// end, is given up: both show the state before, and what is written then is there.
func TestACopyOfTwoPoolsIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newTwoPools(t)
	w.apply(0, 99, 0, 1)
	w.apply(1, 100, 0, 1)
	w.ok(w.Flush(1))
	w.ok(w.BeginResync(1))
	for v := range array.VolumeID(2) {
		w.ok(w.PutPages(1, []volume.Put{{Volume: v + 1, Page: 0, Birth: 150, Data: bytes.Repeat([]byte{2}, block.Page)}}))
	}
	for i := range int64(30) { // the log since, more than the second CPG takes
		w.apply(1, array.Place(160+i), 10+i, 3)
	}
	if err := w.FinishResync(1, 200); array.KindOf(err) != array.Full {
		t.Fatal(err)
	}
	at := w.Destaged(1)
	w.ok(w.AbortResync(1))
	if a, b := w.read(0, 0), w.read(1, 0); a != 1 || b != 1 {
		t.Errorf("not one moment: volume 1 shows %d, volume 2 shows %d", a, b)
	}
	w.apply(0, at+1, 5, 9)
	if got := w.read(0, 5); got != 9 {
		t.Errorf("what was written at %d is not there: %d", at+1, got)
	}
	w.ok(w.Flush(1))
	if got := w.read(0, 5); got != 9 {
		t.Errorf("nor is it on pages: %d", got)
	}
}

// TestOnePoolIsAheadOfACopyGivenUp: the same if one of them had turned to the new state:
// what is written at places that it had reached is not taken for what it has.
func TestOnePoolIsAheadOfACopyGivenUp(t *testing.T) {
	t.Parallel()
	w := newTwoPools(t)
	w.apply(0, 99, 0, 1)
	w.apply(1, 100, 0, 1)
	w.ok(w.Flush(1))
	w.ok(w.BeginResync(1))
	w.ok(w.pools()[0].FinishResync(1, 200)) // and then the power went
	at := w.Destaged(1)
	w.ok(w.AbortResync(1))
	w.apply(0, at+1, 5, 9)
	if got := w.read(0, 5); at != 100 || got != 9 {
		t.Errorf("what was written at %d is not there: %d", at+1, got)
	}
}

// TestACopyOfTwoPoolsEndsLater: the end of a copy is tried again when the second CPG has
// room; the log went on meanwhile.
func TestACopyOfTwoPoolsEndsLater(t *testing.T) {
	t.Parallel()
	w := newTwoPools(t)
	w.ok(w.BeginResync(1))
	for i := range int64(30) {
		w.apply(1, array.Place(160+i), 10+i, 3)
	}
	if err := w.FinishResync(1, 200); array.KindOf(err) != array.Full {
		t.Fatal(err)
	}
	for i := range int64(30) { // hosts delete
		w.apply(1, array.Place(201+i), 10+i, 0)
	}
	w.apply(0, 231, 5, 9)
	w.ok(w.pools()[0].FinishResync(1, 231)) // this one had turned before the error
	w.apply(0, 232, 6, 9)
	w.ok(w.FinishResync(1, 232))
	if w.read(0, 6) != 9 {
		t.Error("what was written since is not there")
	}
}
