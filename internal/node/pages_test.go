// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

func newPool(t *testing.T) *volume.Pool {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("p"); err != nil {
		t.Fatal(err)
	}
	p, err := volume.OpenPool(fs, "p", volume.Options{MapFile: filepath.Join(t.TempDir(), "m"), Limit: 64 << 20, Overlay: 4 << 20, Grow: 1 << 20, NoSync: true, Alarm: func(err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A copy from which the pages of a volume were dropped would pass for whole.
func TestPagesOfAnUnknownVolumeAreRefused(t *testing.T) {
	pool := newPool(t)
	const g = array.GroupID(1)
	if err := pool.Begin(g, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Create(volume.VolumeSpec{ID: 1, Group: g, Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	pg := &pages{}
	pg.add(pool)
	if err := pg.BeginResync(g); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, block.Page)
	data[0] = 7
	err := pg.PutPages(g, []volume.Put{{Volume: 2, Page: 0, Birth: 5, Data: data}})
	if err == nil {
		err = pg.FinishResync(g, 10)
		t.Errorf("a page of a volume that is not here was taken for written; finish: %v", err)
	}
}

// A CPG that counted the group once, then had no volume of it, and gets one again,
// must not hold the group to its old place, before which the journal is gone.
func TestACPGWithoutAVolumeCountsAnew(t *testing.T) {
	old, used := newPool(t), newPool(t)
	const g = array.GroupID(1)
	for _, p := range []*volume.Pool{old, used} {
		if err := p.Begin(g, 0); err != nil {
			t.Fatal(err)
		}
	}
	used.Advance(g, 5000)
	if err := used.Flush(g); err != nil {
		t.Fatal(err)
	}
	// admitrcopyvv -cpg old: node/describe.go apply
	if err := old.Begin(g, 5000); err != nil {
		t.Fatal(err)
	}
	pg := &pages{}
	pg.add(used)
	pg.add(old)
	if d := pg.Destaged(g); d != 5000 {
		t.Errorf("after Begin at 5000 the group counts as on pages up to %d; its journal begins after that", d)
	}
}
