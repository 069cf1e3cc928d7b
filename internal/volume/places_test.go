// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

func TestGroupsComeAndGo(t *testing.T) {
	fs, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, fs, o, 1<<20)
	ok(t, v.Apply(data(7, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, p.Begin(1, 3)) // known: stays
	ok(t, p.Begin(2, 41))
	if p.Destaged(1) != 7 || p.Destaged(2) != 41 {
		t.Fatal(p.Destaged(1), p.Destaged(2))
	}
	if err := p.Forget(1); err == nil {
		t.Error("a group with a volume was forgotten")
	}
	ok(t, p.Close())
	p, _ = onePool(t, fs, o, 1<<20)
	if p.Destaged(1) != 7 || p.Destaged(2) != 41 {
		t.Fatal("after opening again:", p.Destaged(1), p.Destaged(2))
	}
	ok(t, p.Remove(1))
	ok(t, p.Forget(1))
	ok(t, p.Close())
	p, err := OpenPool(fs, "pool", o)
	ok(t, err)
	defer p.Close()
	if p.Destaged(1) != 0 || p.Destaged(2) != 41 {
		t.Fatal("after forgetting:", p.Destaged(1), p.Destaged(2))
	}
}

// A long range of zeros over data that never came to pages must leave their births,
// or a copy by pages would leave the other array's as they are.
func TestLongZerosLeaveBirths(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<30)
	ok(t, v.Apply(data(10, 200*block.Page, page(1))))
	ok(t, v.Apply(data(11, 300*block.Page+block.Page/2, page(2)))) // of two pages
	ok(t, v.Apply(zeros(12, 0, 1000*block.Page)))
	ok(t, p.Flush(1))
	pages, births := changed(t, v, 11)
	for _, want := range []int64{200, 300, 301} {
		if i := slices.Index(pages, want); i < 0 || births[i] != 12 {
			t.Errorf("page %d is not among %v, %v", want, pages, births)
		}
	}
	if len(pages) > 12 {
		t.Errorf("%d pages for a range without slots", len(pages))
	}
	if c := p.Capacity(); c.Used != 0 || c.Memory != 0 {
		t.Errorf("%d bytes of pages and %d of memory", c.Used, c.Memory)
	}
}
