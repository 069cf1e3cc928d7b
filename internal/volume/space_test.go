// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestSpaceIsSetAside: what a fully provisioned volume has set aside nobody else gets,
// and it can be written to the last page, again and again.
func TestSpaceIsSetAside(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, thin := onePool(t, vfs.NewMem(), o, 1<<30)
	full, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 2000 * block.Page, Provisioning: Full})
	ok(t, err)
	if _, err := p.Create(VolumeSpec{ID: 3, Group: 1, Size: 2000 * block.Page, Provisioning: Full}); array.KindOf(err) != array.Full {
		t.Fatal("set aside twice:", err)
	}
	place := array.Place(0)
	fill := func(v *Volume, pages int64, b byte) error {
		for n := range pages {
			place++
			r := data(place, n*block.Page, page(b))
			r.Volume = v.id
			ok(t, v.Apply(r))
		}
		return p.Flush(1)
	}
	ok(t, fill(thin, 1800, 1))
	for i := range byte(3) {
		ok(t, fill(full, 2000, 2+i))
	}
	if room, err := thin.Spacious(3000*block.Page, 100*block.Page); room != None || err != nil {
		t.Error("there is room for more of the thin volume:", err)
	}
	if room, err := thin.Spacious(100*block.Page, 100*block.Page); room != Enough || err != nil {
		t.Error("there is no room to write again what was written:", err)
	}
	ok(t, fill(thin, 1800, 9))
	if c := p.Capacity(); c.Used != 3800*block.Page || c.Reserved != 0 {
		t.Errorf("%+v", c)
	}
	ok(t, check(p))
}

// TestSameContentCostsOnce, also when it was damaged or is damaged meanwhile.
func TestSameContentCostsOnce(t *testing.T) {
	disk := vfs.NewMem()
	p, v := onePool(t, disk, testOptions(t.TempDir()), 1<<20)
	var two [2]*Volume
	for i := range two {
		var err error
		two[i], err = p.Create(VolumeSpec{ID: array.VolumeID(2 + i), Group: 1, Size: 100 * block.Page, Provisioning: Dedup})
		ok(t, err)
	}
	place := array.Place(0)
	for range 2 {
		for i, v := range two {
			for n := range int64(50) {
				place++
				r := data(place, n*block.Page, page(byte(n%25+1)))
				r.Volume = array.VolumeID(2 + i)
				ok(t, v.Apply(r))
			}
			ok(t, p.Flush(1))
		}
	}
	if c := p.Capacity(); c.Used != 25*block.Page || c.Written != 100*block.Page {
		t.Errorf("%+v", c)
	}
	ok(t, disk.Flip("pool/pages", 8*100)) // the first page: both volumes' copies of it are bad
	place++
	r := data(place, 90*block.Page, page(1))
	r.Volume = 2
	ok(t, two[0].Apply(r))
	ok(t, p.Flush(1))
	got := make([]byte, block.Page)
	if err := two[0].Read(got, 0); array.KindOf(err) != array.Medium {
		t.Fatal("damage was served:", err)
	}
	ok(t, two[0].Read(got, 90*block.Page))
	if !bytes.Equal(got, page(1)) {
		t.Error("a new page shares a damaged one")
	}
	ok(t, p.Remove(2))
	ok(t, p.Remove(3))
	if c := p.Capacity(); c.Used != 0 || v.Used() != (Used{}) {
		t.Errorf("%+v", c)
	}
	ok(t, check(p))
}
