// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestCaps: a limit that a person set is kept, of the pool and of one volume, and ends
// neither what replaces pages nor what was admitted before it was set.
func TestCaps(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	other, err := p.Create(VolumeSpec{ID: 7, Group: 1, Size: 1 << 30})
	ok(t, err)
	place := array.Place(0)
	asks := func(v *Volume, page, n int64, want Answer) {
		t.Helper()
		if got, err := v.Spacious(page*block.Page, n*block.Page); got != want || err != nil {
			t.Errorf("room for %d pages at %d of volume %v: %v, %v; want %v", n, page, v.id, got, err, want)
		}
	}
	fillPages(t, p, v, &place, 0, 1000, false)
	ok(t, p.Flush(1))
	asks(v, 1000, 1000, Enough)
	p.SetCap(1500 * block.Page)
	if c := p.Capacity(); c.Cap != 1500*block.Page || c.Limit != o.Limit {
		t.Errorf("%+v", c)
	}
	asks(v, 1000, 450, Enough)
	asks(v, 1000, 501, None)
	asks(other, 0, 501, None)
	asks(v, 0, 900, Enough) // there already
	if _, err := p.Create(VolumeSpec{ID: 8, Group: 1, Size: 600 * block.Page, Provisioning: Full}); array.KindOf(err) != array.Full {
		t.Error("set aside beyond the limit:", err)
	}
	fillPages(t, p, v, &place, 1000, 300, false)
	asks(v, 1300, 200, Unsure) // as long as it is not known what the others take
	ok(t, p.Flush(1))
	asks(v, 1300, 201, None)

	p.SetCap(500 * block.Page) // less than there is
	asks(v, 1300, 1, None)
	asks(v, 5, 10, Enough)
	fillPages(t, p, v, &place, 1300, 50, false) // as the other array admitted it
	ok(t, p.Flush(1))
	p.SetCap(0)
	asks(v, 1400, 1000, Enough)

	v.SetCap(1400 * block.Page)
	asks(v, 1400, 100, None)
	asks(v, 0, 100, Enough)
	asks(other, 0, 1000, Enough)
	fillPages(t, p, other, &place, 0, 100, false)
	asks(v, 1400, 100, None) // what other volumes have in memory plays no part
	v.SetCap(0)
	asks(v, 1400, 100, Enough)
	ok(t, check(p))
}
