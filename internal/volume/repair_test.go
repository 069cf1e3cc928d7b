// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

const pageBits = 8 * block.Page // of a whole page

// damaged is a pool with page 0 of volume 1, full of ones and born at 5, in the first units, of
// which the first block is damaged. What destages meet is in met.
func damaged(t *testing.T, o Options) (p *Pool, v *Volume, met *[]Bad) {
	t.Helper()
	disk := vfs.NewMem()
	met = new([]Bad)
	o.OnBad = func(b Bad) { *met = append(*met, b) }
	p, v = onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(data(5, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, disk.Flip("pool/pages", 100*8))
	return p, v, met
}

func isBad(t *testing.T, err error, page int64, birth array.Place) {
	t.Helper()
	var b *Bad
	if array.KindOf(err) != array.Medium || !errors.As(err, &b) || b.Volume != 1 || b.Page != page || b.Birth != birth {
		t.Fatalf("%v; want page %d born at %d to be bad", err, page, birth)
	}
}

func TestABadPageIsNamedAndRepaired(t *testing.T) {
	p, v, _ := damaged(t, testOptions(t.TempDir()))
	buf := make([]byte, block.Page)
	isBad(t, v.Read(buf, 0), 0, 5)
	_, err := v.Stored(0, buf)
	isBad(t, err, 0, 5)
	done, err := v.Repair(0, 5, page(1))
	if ok(t, err); !done {
		t.Fatal("nothing was repaired")
	}
	birth, err := v.Stored(0, buf)
	if ok(t, err); birth != 5 || !bytes.Equal(buf, page(1)) {
		t.Fatalf("birth %d and %x after the repair", birth, buf[:4])
	}
	ok(t, v.Read(buf, 0))
	ok(t, check(p))
	if done, err = v.Repair(0, 5, page(9)); done || err != nil {
		t.Fatalf("a good page was repaired: %v, %v", done, err)
	}
	if ok(t, v.Read(buf, 0)); buf[0] != 1 {
		t.Fatal("a good page was replaced")
	}
}

// TestWhatARepairRefuses: content that is older than the page, or newer than what was
// applied, is not put in its place.
func TestWhatARepairRefuses(t *testing.T) {
	p, v, _ := damaged(t, testOptions(t.TempDir()))
	for _, birth := range []array.Place{4, 6} {
		if done, err := v.Repair(0, birth, page(1)); done || array.KindOf(err) != array.Busy {
			t.Fatalf("content born at %d: %v, %v", birth, done, err)
		}
	}
	for _, c := range []struct {
		page  int64
		birth array.Place
		data  []byte
	}{{-1, 5, page(1)}, {10, 5, page(1)}, {0, 0, page(1)}, {0, 5, page(1)[1:]}, {0, 5, nil}} {
		if done, err := v.Repair(c.page, c.birth, c.data); done || array.KindOf(err) != array.Invalid {
			t.Fatalf("page %d born at %d with %d bytes: %v, %v", c.page, c.birth, len(c.data), done, err)
		}
	}
	if done, err := v.Repair(3, 5, page(1)); done || err != nil {
		t.Fatalf("a page that was never written was repaired: %v, %v", done, err)
	}
	// The other copy destaged a record that here is in the overlay: one on top of the
	// other is the same as what both hold.
	ok(t, v.Apply(data(7, 4096, page(7)[:512])))
	want := page(1)
	copy(want[4096:], page(7)[:512])
	if done, err := v.Repair(0, 7, want); !done || err != nil {
		t.Fatalf("with all applied: %v, %v", done, err)
	}
	buf := make([]byte, block.Page)
	for range 2 {
		if ok(t, v.Read(buf, 0)); !bytes.Equal(buf, want) {
			t.Fatal("other content after the repair")
		}
		ok(t, p.Flush(1))
	}
	if birth, _ := v.Stored(0, buf); birth != 7 {
		t.Fatalf("birth %d, want 7", birth)
	}
	ok(t, check(p))
}

// TestDestageOverDamage: a destage goes on over a bad page and keeps the damage where
// nothing was written; all else of the page and the pool is right.
func TestDestageOverDamage(t *testing.T) {
	p, v, met := damaged(t, testOptions(t.TempDir()))
	ok(t, v.Apply(data(6, 8192, page(6)[:512])))
	ok(t, v.Apply(data(7, 0, page(7)[:512]))) // in the bad block, of which it is a part
	ok(t, v.Apply(data(8, 5*block.Page, page(8))))
	ok(t, p.Flush(1))
	if p.Destaged(1) != 8 || len(*met) != 1 || (*met)[0].Birth != 7 {
		t.Fatalf("destaged to %d, met %v", p.Destaged(1), *met)
	}
	buf := make([]byte, block.Page)
	isBad(t, v.Read(buf, 0), 0, 7)
	isBad(t, v.Read(buf[:512], 0), 0, 7)
	ok(t, v.Read(buf[4096:], 4096))
	if buf[8192] != 6 || buf[8192+512] != 1 || buf[4096] != 1 {
		t.Fatal("the sound blocks are not what was written")
	}
	ok(t, v.Read(buf, 5*block.Page))
	// A write of the whole block heals it by itself.
	ok(t, v.Apply(data(9, 0, page(9)[:4096])))
	if ok(t, v.Read(buf, 0)); buf[0] != 9 || buf[4096] != 1 {
		t.Fatal("not what was written")
	}
	ok(t, p.Flush(1))
	ok(t, v.Read(buf, 0))
	ok(t, check(p))
}

// TestWithoutChecksums: the pool that believes its disk serves the damage.
func TestWithoutChecksums(t *testing.T) {
	o := testOptions(t.TempDir())
	o.NoChecksum = true
	_, v, _ := damaged(t, o)
	buf := make([]byte, block.Page)
	if err := v.Read(buf, 0); err != nil || bytes.Equal(buf, page(1)) {
		t.Fatalf("%v; the mutant is none", err)
	}
}

func TestScrub(t *testing.T) {
	disk := vfs.NewMem()
	p, v := onePool(t, disk, testOptions(t.TempDir()), 1000*block.Page)
	two, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 1000 * block.Page})
	ok(t, err)
	for i := range int64(200) {
		ok(t, v.Apply(data(array.Place(i+1), i*3*block.Page, page(byte(i+1)))))
	}
	r := data(300, 700*block.Page, page(5))
	r.Volume = 2
	ok(t, two.Apply(r))
	ok(t, p.Flush(1))
	for _, nth := range []int64{0, 77, 200} { // pages, in the order they were written
		ok(t, disk.Flip("pool/pages", nth*pageBits+5))
	}
	var seen int
	var found []Bad
	var last Cursor
	look := func(ctx context.Context, from Cursor, then func()) error {
		return p.Scrub(ctx, from, 0, func(at Cursor, b *Bad) {
			if at.Volume < last.Volume || at.Volume == last.Volume && at.Page <= last.Page {
				t.Fatalf("cursor %v after %v", at, last)
			}
			seen, last = seen+1, at
			if b != nil {
				found = append(found, *b)
			}
			then()
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	err = look(ctx, Cursor{}, func() {
		if seen == 90 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || seen != 90 {
		t.Fatalf("stopped after %d pages: %v", seen, err)
	}
	ok(t, look(t.Context(), last, func() {}))
	if seen != 201 || len(found) != 3 || found[0].Page != 0 || found[1].Page != 77*3 || found[2].Volume != 2 || found[2].Page != 700 {
		t.Fatalf("%d pages, found %v", seen, found)
	}
}

func TestMapped(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<40)
	for i, n := range []int64{0, 1, 63, 64, 1000, 1 << 20} {
		ok(t, v.Apply(data(array.Place(i+1), n*block.Page, page(1))))
	}
	ok(t, p.Flush(1))
	var all []int64
	for from := int64(0); from < 1<<26; {
		pages, next, err := v.Mapped(from, 1<<26, 2)
		if ok(t, err); len(pages) > 2 || next <= from {
			t.Fatalf("%v up to %d from %d", pages, next, from)
		}
		all, from = append(all, pages...), next
	}
	if len(all) != 6 || all[5] != 1<<20 || all[2] != 63 {
		t.Fatal(all)
	}
}

// TestBlocksWithTheirOwnChecksum: blocks that end with their own CRC32C, of which all
// have the same, are told from each other.
func TestBlocksWithTheirOwnChecksum(t *testing.T) {
	made := func(fill byte, tail int) []byte {
		b := bytes.Repeat([]byte{fill}, unitSize)
		clear(b[unitSize-tail:])
		binary.LittleEndian.PutUint32(b[unitSize-tail:], block.Checksum(b[:unitSize-tail]))
		return b
	}
	for _, tail := range []int{4, 8} {
		one, two := made(1, tail), made(2, tail)
		if block.Checksum(one) != block.Checksum(two) {
			t.Error("they have not the same CRC32C: there is nothing to show")
		}
		if blockSum(one) == blockSum(two) {
			t.Errorf("%d bytes at the end: the same checksum", tail)
		}
		if PageSum(append(page(3)[:3*unitSize], one...)) == PageSum(append(page(3)[:3*unitSize], two...)) {
			t.Errorf("%d bytes at the end: pages have the same checksum", tail)
		}
	}
}

// TestRepairReachesAllThatShowIt: a packed page that a volume and its snapshot show is
// repaired once, for both, and only with exactly its birth.
func TestRepairReachesAllThatShowIt(t *testing.T) {
	disk := vfs.NewMem()
	p, err := OpenPool(disk, "pool", testOptions(t.TempDir()))
	ok(t, err)
	defer p.Close()
	v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: 10 * block.Page, Compress: true})
	ok(t, err)
	ok(t, v.Apply(data(5, 0, page(1))))
	ok(t, v.Freeze(6, 2))
	p.Advance(1, 6)
	ok(t, p.Flush(1))
	s := p.Volume(2)
	ok(t, disk.Flip("pool/pages", 20))
	buf := make([]byte, block.Page)
	isBad(t, v.Read(buf, 0), 0, 5)
	if err := s.Read(buf, 0); !errors.As(err, new(*Bad)) {
		t.Fatal("the snapshot shows the damage:", err)
	}
	ok(t, v.Apply(data(7, 512, page(7)[:512]))) // on top of the damage
	for _, w := range []*Volume{v, s} {
		if done, err := w.Repair(0, 7, page(7)); done || array.KindOf(err) != array.Busy {
			t.Fatalf("content that the snapshot must not show: %v, %v", done, err)
		}
	}
	if done, err := s.Repair(0, 5, page(1)); !done || err != nil {
		t.Fatal(done, err)
	}
	for range 2 {
		ok(t, s.Read(buf, 0))
		if !bytes.Equal(buf, page(1)) {
			t.Fatal("the snapshot is something else")
		}
		ok(t, v.Read(buf, 0))
		if buf[511] != 1 || buf[512] != 7 || buf[1024] != 1 {
			t.Fatal("the volume is something else")
		}
		ok(t, p.Flush(1))
	}
	ok(t, check(p))
}

// A repair with later content must not get into a snapshot that is about to be made.
func TestRepairUnderAPendingSnapshot(t *testing.T) {
	p, v, _ := damaged(t, testOptions(t.TempDir()))
	ok(t, v.Freeze(6, 2))
	p.Advance(1, 6)
	want := page(1)
	copy(want[4096:], page(7)[:512])
	ok(t, v.Apply(data(7, 4096, page(7)[:512])))
	done, err := v.Repair(0, 7, want) // the other array destaged 7 already
	t.Log(done, err)
	ok(t, p.Flush(1))
	got := make([]byte, block.Page)
	err = p.Volume(2).Read(got, 0)
	if err == nil && !bytes.Equal(got, page(1)) {
		t.Fatal("the snapshot made at 6 shows a record of place 7")
	}
}
