// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

func data(place array.Place, off int64, b []byte) journal.Record {
	return journal.Record{
		Group: 1, Pos: array.Position{Place: place}, Kind: journal.Data, Volume: 1,
		Offset: off, Length: int64(len(b)), Payload: b,
	}
}

func zeros(place array.Place, off, n int64) journal.Record {
	return journal.Record{Group: 1, Pos: array.Position{Place: place}, Kind: journal.Zeros, Volume: 1, Offset: off, Length: n}
}

func page(b byte) []byte { return bytes.Repeat([]byte{b}, block.Page) }

// onePool is a pool with volume 1 of group 1.
func onePool(t *testing.T, fs vfs.FS, o Options, size int64) (*Pool, *Volume) {
	t.Helper()
	p, err := OpenPool(fs, "pool", o)
	ok(t, err)
	v := p.Volume(1)
	if v == nil {
		v, err = p.Create(VolumeSpec{ID: 1, Group: 1, Size: size})
		ok(t, err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, v
}

func changed(t *testing.T, v *Volume, since array.Place) (pages []int64, births []array.Place) {
	t.Helper()
	ok(t, v.ChangedSince(since, 0, func(n int64, b array.Place) bool {
		pages, births = append(pages, n), append(births, b)
		return true
	}))
	return pages, births
}

func TestBirthsAndZeros(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<40) // far larger than the pool
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, v.Apply(data(2, 100*block.Page, page(2))))
	ok(t, v.Apply(data(3, 5*block.Page+512, page(3)[:512])))
	ok(t, p.Flush(1))
	if pages, births := changed(t, v, 0); !slices.Equal(pages, []int64{0, 5, 100}) || !slices.Equal(births, []array.Place{1, 3, 2}) {
		t.Fatal(pages, births)
	}
	ok(t, v.Apply(zeros(4, 0, 1<<40))) // all of it, in no time
	if pages, births := changed(t, v, 3); !slices.Equal(pages, []int64{0, 5, 100, 1<<40/block.Page - 1}) || births[0] != 4 {
		t.Fatal("a freed page lost its birth:", pages, births)
	}
	if c := p.Capacity(); c.Used != 0 || c.Memory != 0 {
		t.Fatalf("%d bytes of pages and %d of memory after zeroing", c.Used, c.Memory)
	}
	n, mapped, err := v.Extent(0)
	if err != nil || mapped || n < block.Page {
		t.Fatal(n, mapped, err)
	}
	ok(t, v.Apply(data(5, block.Page, page(1))))
	if n, mapped, _ := v.Extent(0); mapped || n != block.Page {
		t.Fatal(n, mapped)
	}
	if n, mapped, _ := v.Extent(block.Page); !mapped || n != block.Page {
		t.Fatal(n, mapped)
	}
	ok(t, check(p))
}

func TestDamageIsNamed(t *testing.T) {
	disk := vfs.NewMem()
	p, v := onePool(t, disk, testOptions(t.TempDir()), 10*block.Page)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, p.Flush(1))
	ok(t, disk.Flip("pool/pages", 5000*8))
	buf := make([]byte, block.Page)
	if err := v.Read(buf, 0); array.KindOf(err) != array.Medium {
		t.Fatal("a flipped bit was read:", err)
	}
	ok(t, v.Read(buf[:4096], 8192)) // another block of the page is sound
	if check(p) == nil {
		t.Fatal("the checker didn't see a flipped bit")
	}
	if err := v.Read(buf, 10*block.Page-1); array.KindOf(err) != array.Range {
		t.Fatal(err)
	}
	if err := v.Apply(data(2, 10*block.Page, page(1))); array.KindOf(err) != array.Range {
		t.Fatal(err)
	}
}

// TestFullLosesNothing fills the pool and the disk below it: the destage fails with
// a clear error, what was applied stays readable, and goes on when there is room.
func TestFullLosesNothing(t *testing.T) {
	disk := vfs.NewInject(vfs.NewMem())
	o := testOptions(t.TempDir())
	o.Limit = 8 * block.Page
	p, v := onePool(t, disk, o, 20*block.Page)
	for i := range int64(10) {
		ok(t, v.Apply(data(array.Place(i+1), i*block.Page, page(byte(i+1)))))
	}
	if err := p.Flush(1); array.KindOf(err) != array.Full {
		t.Fatal(err)
	}
	if p.Destaged(1) != 0 {
		t.Fatal("destaged to a full pool")
	}
	got := make([]byte, block.Page)
	for i := range int64(10) {
		ok(t, v.Read(got, i*block.Page))
		if !bytes.Equal(got, page(byte(i+1))) {
			t.Fatal("page", i)
		}
	}
	ok(t, v.Apply(zeros(11, 0, 5*block.Page)))
	disk.Add(vfs.Rule{Verb: vfs.OpAllocate, Times: 1, Err: syscall.ENOSPC})
	if err := p.Flush(1); array.KindOf(err) != array.Full || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	ok(t, p.Flush(1))
	if p.Destaged(1) != 11 {
		t.Fatal(p.Destaged(1))
	}
	ok(t, check(p))
	disk.Add(vfs.Rule{Verb: vfs.OpSync, Times: 1, Err: syscall.EIO})
	ok(t, v.Apply(data(12, 0, page(9))))
	if err := p.Flush(1); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	ok(t, v.Read(got, 0))
	if !bytes.Equal(got, page(9)) {
		t.Fatal("lost by a failed flush")
	}
	ok(t, p.Flush(1))
}

func TestRoomComesBack(t *testing.T) {
	o := testOptions(t.TempDir())
	room := make(chan bool, 1)
	o.Age = time.Hour
	o.Overlay = 4 * cost(block.Page)
	o.OnRoom = func() { room <- true }
	pool := block.NewPool(8 << 20)
	p, v := onePool(t, vfs.NewMem(), o, 20*block.Page)
	for i := array.Place(1); i <= 4; i++ {
		b, _ := pool.Get(block.Page)
		copy(b.Bytes(), page(byte(i)))
		r := data(i, int64(i)*block.Page, b.Bytes())
		r.Buf = b
		ok(t, v.Apply(r))
		b.Release()
	}
	// The destager was kicked already, so the pool is either full or has room.
	if !p.Room(block.Page) {
		<-room
	}
	ok(t, p.Flush(1))
	if pool.Used() != 0 {
		t.Fatalf("%d bytes of buffers are held after destaging", pool.Used())
	}
}

func TestVolumesComeAndGo(t *testing.T) {
	disk, dir := vfs.NewMem(), t.TempDir()
	p, v := onePool(t, disk, testOptions(dir), 10*block.Page)
	for i := range int64(10) {
		ok(t, v.Apply(data(array.Place(i+1), i*block.Page, page(7))))
	}
	ok(t, p.Flush(1))
	if _, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: 512}); array.KindOf(err) != array.Exists {
		t.Fatal(err)
	}
	if err := v.MayGrow(512); array.KindOf(err) != array.Invalid {
		t.Fatal(err)
	}
	if err := v.Grow(MaxSize + 512); array.KindOf(err) != array.Invalid {
		t.Fatal(err)
	}
	ok(t, v.Grow(12*block.Page))
	ok(t, v.Grow(5*block.Page)) // an entry that is applied again
	ok(t, v.Apply(data(11, 11*block.Page, page(7))))
	ok(t, p.Flush(1))
	ok(t, p.Close())
	p, v = onePool(t, disk, testOptions(dir), 0)
	if v.Spec().Size != 12*block.Page || p.Destaged(1) != 11 {
		t.Fatal(v.Spec(), p.Destaged(1))
	}
	ok(t, p.Remove(1))
	if c := p.Capacity(); c.Used != 0 {
		t.Fatal("used after removal:", c.Used)
	}
	if err := v.Read(make([]byte, 512), 0); array.KindOf(err) != array.NotFound {
		t.Fatal(err)
	}
	ok(t, check(p))
}

// TestResync sends a volume's pages to another pool, with a restart in the middle,
// and shows the kept state until the end.
func TestResync(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	src, sv := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 40*block.Page)
	disk, dir := vfs.NewMem(), t.TempDir()
	dst, dv := onePool(t, disk, testOptions(dir), 40*block.Page)
	kept := bytes.Repeat([]byte{5}, 10*block.Page)
	ok(t, dv.Apply(data(1, 0, kept)))
	for i := array.Place(1); i < 60; i++ {
		ok(t, sv.Apply(data(i, rng.Int64N(39)*block.Page+512, page(byte(i)))))
	}
	send := func(skip int) (sent int) {
		ok(t, sv.ChangedSince(0, 0, func(n int64, birth array.Place) bool {
			if have, err := dv.ResyncBirth(n); err != nil || have == birth {
				return err == nil
			}
			if sent == skip {
				return false
			}
			buf := make([]byte, block.Page)
			birth, err := sv.ReadPage(n, buf)
			ok(t, err)
			ok(t, dst.PutPages(1, []Put{{1, n, birth, buf}}))
			sent++
			return true
		}))
		return sent
	}
	if err := dst.PutPages(1, nil); array.KindOf(err) != array.Conflict {
		t.Fatal("pages were taken outside a resync:", err)
	}
	ok(t, dst.BeginResync(1))
	first := send(12)
	ok(t, dst.Close())
	dst, dv = onePool(t, disk, testOptions(dir), 0)
	if !dst.Resyncing(1) {
		t.Fatal("the resync was forgotten")
	}
	got := make([]byte, 40*block.Page)
	ok(t, dv.Read(got, 0))
	if !bytes.Equal(got[:10*block.Page], kept) {
		t.Fatal("the kept state changed")
	}
	ok(t, dst.BeginResync(1))
	second := send(1000)
	if first != 12 || second == 0 || second > 28 {
		t.Fatalf("%d pages sent, then %d", first, second)
	}
	live := data(60, 512, []byte("live write to a page that was sent"))
	ok(t, sv.Apply(live))
	ok(t, dv.Apply(live))
	ok(t, dst.FinishResync(1, 60))
	want := make([]byte, 40*block.Page)
	ok(t, sv.Read(want, 0))
	ok(t, dv.Read(got, 0))
	if !bytes.Equal(got, want) || dst.Destaged(1) != 60 {
		t.Fatal("the copies differ after the resync")
	}
	a, err := sv.Checksum(0, 40)
	ok(t, err)
	if b, err := dv.Checksum(0, 40); err != nil || a != b {
		t.Fatal(a, b, err)
	}
	ok(t, check(dst))
	ok(t, check(src))

	ok(t, dst.BeginResync(1))
	ok(t, dst.PutPages(1, []Put{{1, 3, 99, page(99)}, {1, 4, 99, nil}}))
	ok(t, dst.AbortResync(1))
	ok(t, dv.Read(got, 0))
	if !bytes.Equal(got, want) {
		t.Fatal("an aborted resync changed the volume")
	}
	ok(t, check(dst))
}

func FuzzLeaf(f *testing.F) {
	decode := func(b []byte) entry {
		e := decodeEntry(b)
		e.decodeParts(b[entrySize:])
		return e
	}
	f.Add(make([]byte, entrySize+partsSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < entrySize+partsSize {
			return
		}
		e := decode(b)
		_ = e.sound()
		out := make([]byte, entrySize+partsSize)
		if e.encode(out); e.split {
			e.encodeParts(out[entrySize:])
		}
		if decode(out) != e {
			t.Fatal("not the same")
		}
	})
}

func BenchmarkRead4K(b *testing.B) {
	dir := b.TempDir()
	p, err := OpenPool(vfs.NewMem(), "pool", Options{MapFile: filepath.Join(dir, "map"), Limit: 1 << 30, Age: -1, NoSync: true, Grow: 1 << 20})
	ok(b, err)
	v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: 16 << 20})
	ok(b, err)
	ok(b, v.Apply(data(1, 0, bytes.Repeat([]byte{1}, 16<<20))))
	ok(b, p.Flush(1))
	buf := vfs.NewBuffer(4096)
	b.ReportAllocs()
	for i := range b.N {
		ok(b, v.Read(buf, int64(i%4096)*4096))
	}
}

// After a restart a group is applied again from where its slowest CPG is. In another one
// that is not put on pages.
func TestReplayFromWhereAnotherPoolIs(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	o.Overlay = 1 << 20
	p, v := onePool(t, disk, o, 1000*block.Page)
	place := array.Place(0)
	for i := range int64(4) {
		fillPages(t, p, v, &place, i*50, 50, false)
		ok(t, p.Flush(1))
	}
	ok(t, p.Close())
	p, v = onePool(t, disk, o, 1000*block.Page)
	again := array.Place(0)
	for again < place && p.Room(block.Page) { // from place 1 on: there the other pool is
		fillPages(t, p, v, &again, int64(again), 1, false)
	}
	if again < place {
		ok(t, p.Flush(1))
		if !p.Room(block.Page) {
			t.Fatalf("stuck after %d of %d records: %d bytes in memory that a destage leaves there", again, place, p.Capacity().Memory)
		}
	}
}

// Extent looks at up to 65536 pages in one transaction, and at the overlay afterwards:
// what is destaged meanwhile is in neither.
func TestExtentSeesWhatIsWritten(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<30)
	const at = 60000
	for i := range 20 {
		ok(t, v.Apply(data(array.Place(2*i+1), at*block.Page, page(1))))
		done := make(chan error, 1)
		go func() { done <- p.Flush(1) }()
		n, mapped, err := v.Extent(0)
		ok(t, err)
		ok(t, <-done)
		if mapped || n > at*block.Page {
			t.Fatalf("Extent says that pages 0 to %d are unmapped; page %d was written before", n/block.Page-1, at)
		}
		ok(t, v.Apply(zeros(array.Place(2*i+2), at*block.Page, block.Page)))
		ok(t, p.Flush(1))
	}
}
