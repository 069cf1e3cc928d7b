// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

// putOutside puts a record's payload on pages, as the journal does.
func putOutside(t *testing.T, v *Volume, r *journal.Record) (*Outside, []byte) {
	t.Helper()
	o, is := v.Outside(r).(*Outside)
	if !is {
		t.Fatalf("%d bytes at %d go through the journal", r.Length, r.Offset)
	}
	ref, err := o.Write(func([]byte) {})
	ok(t, err)
	r.Outside = o
	return o, ref
}

func outsideOptions(dir string) Options {
	o := testOptions(dir)
	o.Outside = 1
	return o
}

// numbered is n bytes, each page of them another, the third of zeros.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i/block.Page + i%251)
	}
	clear(b[min(n, 2*block.Page):min(n, 4*block.Page)])
	return b
}

// TestOutside: a payload that covers pages whole and in part is written once.
func TestOutside(t *testing.T) {
	disk := vfs.NewMem()
	p, v := onePool(t, disk, outsideOptions(t.TempDir()), 100*block.Page)
	want := numbered(6 * block.Page)
	const off = 10*block.Page + 512
	r := data(1, off, want)
	_, ref := putOutside(t, v, &r)
	if len(ref) > 2*block.Page {
		t.Errorf("%d bytes say where %d lie", len(ref), len(want))
	}
	got := make([]byte, len(want))
	if ok(t, p.LoadOutside(ref, got)); !bytes.Equal(got, want) {
		t.Error("what is loaded is something else")
	}
	ok(t, v.Apply(r))
	written := 0
	disk.SetHook(func(op vfs.Op) {
		if op.Verb == vfs.OpWrite && strings.HasSuffix(op.Name, "pages") {
			written += op.Length
		}
	})
	ok(t, p.Flush(1))
	disk.SetHook(nil)
	if written != block.Page+unitSize {
		t.Errorf("%d bytes were written again, not the page that is covered but for a bit and the block at the end", written)
	}
	if ok(t, v.Read(got, off)); !bytes.Equal(got, want) {
		t.Error("what is read is something else")
	}
	if pages, births := changed(t, v, 0); !slices.Equal(pages, []int64{10, 11, 12, 13, 14, 15, 16}) || births[3] != 1 {
		t.Error(pages, births)
	}
	ok(t, check(p))
}

// TestOutsideIsHeld: what the journal names stays as it is, mapped or not, until it is
// dropped, and over restarts.
func TestOutsideIsHeld(t *testing.T) {
	disk, o := vfs.NewMem(), outsideOptions(t.TempDir())
	p, v := onePool(t, disk, o, 100*block.Page)
	want := numbered(4 * block.Page)
	r := data(1, 0, want)
	_, ref := putOutside(t, v, &r)
	ok(t, v.Apply(r))
	ok(t, p.Flush(1))
	ok(t, v.Apply(zeros(2, 0, 100*block.Page)))
	ok(t, p.Flush(1))
	ok(t, p.Close())

	p, v = onePool(t, disk, o, 100*block.Page)
	again, err := p.ClaimOutside(ref)
	ok(t, err)
	place := array.Place(2)
	fillPages(t, p, v, &place, 0, 90, false)
	ok(t, p.Flush(1))
	got := make([]byte, len(want))
	if ok(t, p.LoadOutside(ref, got)); !bytes.Equal(got, want) {
		t.Error("what the journal names was overwritten")
	}
	before := p.Capacity().Used
	again.Drop()
	if freed := before - p.Capacity().Used; freed != 2*block.Page {
		t.Errorf("%d bytes are free again, not two pages", freed)
	}
	again.Drop() // which is of no more use
	ok(t, check(p))
}

// TestOutsideIsMappedOnce: a record that is applied again finds its pages in the hands of a
// snapshot, and is written anew.
func TestOutsideIsMappedOnce(t *testing.T) {
	disk, o := vfs.NewMem(), outsideOptions(t.TempDir())
	p, v := onePool(t, disk, o, 100*block.Page)
	r := data(1, 0, numbered(2*block.Page))
	_, ref := putOutside(t, v, &r)
	ok(t, v.Apply(r))
	ok(t, v.Freeze(2, 7))
	// The power goes when this is on pages, and before the place is noted.
	p.single.Lock()
	ok(t, v.destage(pageBucket))
	p.single.Unlock()
	ok(t, v.Apply(zeros(3, 0, 2*block.Page)))
	p.single.Lock()
	ok(t, v.destage(pageBucket))
	p.single.Unlock()
	ok(t, p.Close())

	p, v = onePool(t, disk, o, 100*block.Page)
	again, err := p.ClaimOutside(ref)
	ok(t, err)
	r.Outside = again
	ok(t, v.Apply(r))
	ok(t, p.Flush(1))
	ok(t, check(p))
	ok(t, v.Freeze(2, 7))
	ok(t, v.Apply(zeros(3, 0, 2*block.Page)))
	ok(t, p.Flush(1))
	again.Drop()
	got := make([]byte, 2*block.Page)
	if ok(t, p.Volume(7).Read(got, 0)); !bytes.Equal(got, r.Payload) {
		t.Error("the snapshot shows something else")
	}
	ok(t, check(p))
}

// TestOutsideIsRefused: what is small, stored in another way or too much for the pool goes
// through the journal, and a reference is not trusted.
func TestOutsideIsRefused(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), outsideOptions(t.TempDir()), 400*block.Page)
	packed, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: 100 * block.Page, Compress: true})
	ok(t, err)
	same, err := p.Create(VolumeSpec{ID: 3, Group: 1, Size: 100 * block.Page, Provisioning: Dedup})
	ok(t, err)
	r := data(1, 0, page(1))
	part := data(1, 512, page(1))
	if packed.Outside(&r) != nil || same.Outside(&r) != nil || v.Outside(&part) != nil {
		t.Error("a payload that is not stored as it is was to go on pages at once")
	}
	many := data(1, 0, bytes.Repeat(page(1), 300))
	if _, err := v.Outside(&many).Write(func([]byte) {}); array.KindOf(err) != array.Full {
		t.Error("more than may be held:", err)
	}
	if c := p.Capacity(); c.Used != 0 {
		t.Errorf("%d bytes are used by what was refused", c.Used)
	}
	_, ref := putOutside(t, v, &r)
	for i := range ref {
		wrong := bytes.Clone(ref)
		wrong[i] ^= 0x10
		if p.LoadOutside(wrong, make([]byte, block.Page)) == nil && !bytes.Equal(wrong[24:32], ref[24:32]) == (i < 24 || i >= 32) {
			t.Errorf("a reference with another byte %d was believed", i)
		}
	}
	for n := range ref {
		if p.LoadOutside(ref[:n], make([]byte, block.Page)) == nil {
			t.Errorf("%d bytes of a reference were believed", n)
		}
	}
}

// TestAppliedAgain: pages never go back behind what counts as on pages, even if the array
// stops in the middle of applying records again.
func TestAppliedAgain(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, disk, o, 10*block.Page)
	first := data(1, 0, page(1))
	ok(t, v.Apply(first))
	ok(t, v.Apply(data(2, 0, page(2))))
	ok(t, p.Flush(1))
	ok(t, p.Close())
	p, v = onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(first)) // another pool of the group lacks it
	ok(t, p.Flush(1))
	ok(t, p.Close())
	_, v = onePool(t, disk, o, 10*block.Page)
	got := make([]byte, block.Page)
	if ok(t, v.Read(got, 0)); got[0] != 2 {
		t.Errorf("what was on pages went back to the content of place %d", got[0])
	}
}
