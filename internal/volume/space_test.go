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

func fillPages(t *testing.T, p *Pool, v *Volume, place *array.Place, from, n int64, same bool) {
	t.Helper()
	for i := from; i < from+n; i++ {
		*place++
		b := page(7)
		if !same {
			b[0], b[1], b[2], b[3] = byte(i), byte(i>>8), byte(v.id), byte(*place)
		}
		r := data(*place, i*block.Page, b)
		r.Volume, r.Group = v.id, v.group
		ok(t, v.Apply(r))
	}
}

// Overwrites admitted while a snapshot is pending have no room, and then nobody's pages
// are destaged, not even a fully provisioned volume's of another group.
func TestRoomBesideAPendingSnapshot(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	full, err := p.Create(VolumeSpec{ID: 9, Group: 2, Size: 1000 * block.Page, Provisioning: Full})
	ok(t, err)
	place := array.Place(0)
	fillPages(t, p, v, &place, 0, 2800, false)
	ok(t, p.Flush(1))
	place++
	ok(t, v.Freeze(place, 2))
	p.Advance(1, place)
	admitted := int64(0)
	for n := range int64(2800) {
		room, err := v.Spacious(n*block.Page, block.Page)
		ok(t, err)
		if room != Enough {
			break
		}
		fillPages(t, p, v, &place, n, 1, false)
		admitted++
	}
	t.Logf("%d overwrites admitted, %+v", admitted, p.Capacity())
	other := array.Place(0)
	fillPages(t, p, full, &other, 0, 10, false)
	if err := p.destage(nil); err != nil {
		t.Errorf("destage: %v", err)
	}
	if d := p.Destaged(2); d != other {
		t.Errorf("the other group, whose space is set aside, is destaged to %d, not %d", d, other)
	}
}

func TestRoomForSharedPages(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	d, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 1 << 30, Provisioning: Dedup})
	ok(t, err)
	place := array.Place(0)
	fillPages(t, p, d, &place, 0, 1000, true)
	ok(t, p.Flush(1))
	fillPages(t, p, v, &place, 0, 3830, false)
	ok(t, p.Flush(1))
	t.Logf("%+v", p.Capacity())
	admitted := 0
	for n := range int64(1000) {
		room, err := d.Spacious(n*block.Page, block.Page)
		ok(t, err)
		if room != Enough {
			break
		}
		fillPages(t, p, d, &place, n, 1, false)
		admitted++
	}
	t.Logf("%d overwrites admitted", admitted)
	if err := p.Flush(1); err != nil {
		t.Errorf("destage: %v", err)
	}
}

// On the array that does not serve, nobody asks MayGrow.
func TestGrowthTakesNoMoreThanThereIs(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	full, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 1000 * block.Page, Provisioning: Full})
	ok(t, err)
	ok(t, full.Grow(5000*block.Page))
	place := array.Place(0)
	fillPages(t, p, v, &place, 0, 10, false)
	ok(t, p.Flush(1))
	place++
	fillPages(t, p, v, &place, 20, 10, false)
	if err := p.Flush(1); err != nil {
		t.Errorf("a pool of which 10 of 4096 pages are used takes no more: %v; %+v", err, p.Capacity())
	}
}

// Pages of several volumes in one PutPages.
func TestResyncLeavesWhatIsSetAside(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, _ := onePool(t, vfs.NewMem(), o, 1<<30)
	full, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 3500 * block.Page, Provisioning: Full})
	ok(t, err)
	ok(t, p.BeginResync(1))
	var puts []Put
	n := int64(0)
	for range 4 {
		puts = puts[:0]
		for i := range int64(1024) {
			b := page(1)
			b[0], b[1] = byte(n), byte(n>>8)
			if i == 0 {
				puts = append(puts, Put{Volume: 2, Page: 0, Birth: 5, Data: b})
			} else {
				puts = append(puts, Put{Volume: 1, Page: n, Birth: 5, Data: b})
			}
			n++
		}
		if err = p.PutPages(1, puts); err != nil {
			break
		}
	}
	if used := p.Capacity(); err == nil || used.Used+full.Used().Reserved > used.Limit {
		t.Fatalf("%v: %d MiB are used and %d set aside of %d", err, used.Used>>20, full.Used().Reserved>>20, used.Limit>>20)
	}
}
