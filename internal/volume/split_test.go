// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

// splitPool is a pool with a volume, a model of its content, and what is written to pages.
type splitPool struct {
	t       *testing.T
	disk    *vfs.Mem
	p       *Pool
	v       *Volume
	want    []byte
	place   array.Place
	written int
}

func newSplitPool(t *testing.T) *splitPool {
	s := &splitPool{t: t, disk: vfs.NewMem(), want: make([]byte, 100*block.Page)}
	s.p, s.v = onePool(t, s.disk, testOptions(t.TempDir()), int64(len(s.want)))
	s.disk.SetHook(func(op vfs.Op) {
		if op.Verb == vfs.OpWrite && strings.HasSuffix(op.Name, "pages") {
			s.written += op.Length
		}
	})
	return s
}

// put writes, zeros if b is one, and puts that on pages.
func (s *splitPool) put(off, n int64, b byte) {
	s.t.Helper()
	s.place++
	r := data(s.place, off, bytes.Repeat([]byte{b}, int(n)))
	if b == 0 {
		r = zeros(s.place, off, n)
	}
	copy(s.want[off:], bytes.Repeat([]byte{b}, int(n)))
	ok(s.t, s.v.Apply(r))
}

// units flushes, compares all, and returns how many bytes that wrote and units are used.
func (s *splitPool) units() (written int, used int64) {
	s.t.Helper()
	s.written = 0
	ok(s.t, s.p.Flush(1))
	got := make([]byte, len(s.want))
	if ok(s.t, s.v.Read(got, 0)); !bytes.Equal(got, s.want) {
		s.t.Error("what is read is something else")
	}
	ok(s.t, check(s.p))
	return s.written, s.p.Capacity().Used / unitSize
}

// TestSmallWritesAreWrittenAlone: blocks that change few of a page's go to units of their
// own, side by side, and nothing around them is read or written.
func TestSmallWritesAreWrittenAlone(t *testing.T) {
	s := newSplitPool(t)
	s.put(0, 50*block.Page, 1)
	if written, used := s.units(); written != 50*block.Page || used != 50*pageUnits {
		t.Fatal(written, used)
	}
	for page := range int64(40) {
		s.put(page*block.Page+page%pageUnits*unitSize, unitSize, byte(page+2))
	}
	writes := 0
	hook := func(op vfs.Op) {
		if op.Verb == vfs.OpWrite && strings.HasSuffix(op.Name, "pages") {
			writes++
		}
	}
	s.disk.SetHook(hook)
	_, used := s.units()
	if writes > 2 || used != 50*pageUnits {
		t.Errorf("forty blocks took %d writes, and %d units are used", writes, used)
	}
	s.put(0, unitSize/2, 99) // half a block more, and another page's second of three
	s.put(5*block.Page, unitSize, 98)
	s.put(5*block.Page+3*unitSize, unitSize, 97)
	if _, used := s.units(); used != 50*pageUnits {
		t.Error(used)
	}
	s.put(7*block.Page, 3*unitSize, 96) // most of a split page: it is whole again
	if _, used := s.units(); used != 50*pageUnits {
		t.Error(used)
	}
	if e, err := s.v.entriesOf(pageBucket, []int64{7, 5}); err != nil || e[0].split || !e[1].split {
		t.Error("page 7 is still split, or page 5 is not:", err)
	}
}

// TestBlocksOfZeros: a block of zeros takes no unit, nor does one that was never written.
func TestBlocksOfZeros(t *testing.T) {
	s := newSplitPool(t)
	s.put(3*block.Page+unitSize, unitSize, 1)
	if written, used := s.units(); written != unitSize || used != 1 {
		t.Error(written, used)
	}
	s.put(3*block.Page+2*unitSize, 512, 2)
	if written, used := s.units(); written != unitSize || used != 2 {
		t.Error(written, used)
	}
	s.put(3*block.Page+unitSize, unitSize, 0)
	if written, used := s.units(); written != 0 || used != 1 {
		t.Error(written, used)
	}
	s.put(3*block.Page, block.Page, 0)
	if written, used := s.units(); written != 0 || used != 0 {
		t.Error(written, used)
	}
	s.put(4*block.Page, block.Page, 3)
	s.put(4*block.Page, 3*unitSize, 0)
	if _, used := s.units(); used != 1 {
		t.Error(used)
	}
	s.put(4*block.Page+3*unitSize, unitSize, 0) // the last that isn't
	if _, used := s.units(); used != 0 {
		t.Error(used)
	}
}

// TestSplitPagesAndSnapshots: a page that a snapshot shows is written whole, once; and the
// snapshot keeps a split one as it was.
func TestSplitPagesAndSnapshots(t *testing.T) {
	s := newSplitPool(t)
	s.put(0, 4*block.Page, 1)
	s.put(unitSize, unitSize, 2)
	s.units()
	before := bytes.Clone(s.want)
	s.place++
	ok(t, s.v.Freeze(s.place, 9))
	s.p.Advance(1, s.place)
	s.put(0, unitSize, 3)
	s.put(block.Page, unitSize, 4)
	if written, _ := s.units(); written != 2*block.Page {
		t.Errorf("%d bytes were written of two pages that a snapshot shows", written)
	}
	s.put(2*unitSize, unitSize, 5)
	if written, _ := s.units(); written != unitSize {
		t.Errorf("%d bytes were written of a block", written)
	}
	got := make([]byte, len(before))
	if ok(t, s.p.Volume(9).Read(got, 0)); !bytes.Equal(got, before) {
		t.Error("the snapshot shows something else")
	}
	ok(t, s.p.Remove(9))
	s.units()
}

// TestRoomForBlocks: in a full pool what is stored may be written again, block by block.
func TestRoomForBlocks(t *testing.T) {
	s := newSplitPool(t)
	s.v.SetCap(40 * unitSize)
	s.put(0, 9*block.Page, 1)
	s.put(9*block.Page, unitSize, 2)
	s.put(10*block.Page+unitSize, unitSize, 2)
	s.units()
	for _, c := range []struct {
		off, n int64
		want   Answer
	}{
		{9 * block.Page, unitSize, Enough},
		{9*block.Page + 512, 512, Enough},
		{10*block.Page + unitSize, unitSize, Enough},
		{8 * block.Page, block.Page + unitSize, Enough},
		{9 * block.Page, 3 * unitSize, None},
		{10 * block.Page, unitSize, Enough}, // one more there is
		{10 * block.Page, block.Page, None},
		{11 * block.Page, block.Page, None},
	} {
		if got, err := s.v.Spacious(c.off, c.n); err != nil || got != c.want {
			t.Errorf("%d bytes at %d: %v, %v", c.n, c.off, got, err)
		}
	}
}

// TestScattered: where free units lie apart, whole pages, packed and deduplicated ones find
// room all the same.
func TestScattered(t *testing.T) {
	for name, how := range map[string]VolumeSpec{"plain": {}, "packed": {Compress: true}, "deduplicated": {Provisioning: Dedup}} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			o.Limit = 64 * unitSize
			p, v := onePool(t, vfs.NewMem(), o, 100*block.Page)
			how.ID, how.Group, how.Size = 2, 1, 100*block.Page
			other, err := p.Create(how)
			ok(t, err)
			place := array.Place(0)
			apply := func(v *Volume, r journal.Record) {
				r.Volume = v.id
				ok(t, v.Apply(r))
			}
			put := func(v *Volume, off int64, b []byte) { place++; apply(v, data(place, off, b)) }
			for n := range int64(50) {
				put(v, n*block.Page, page(byte(n + 1))[:unitSize])
			}
			ok(t, p.Flush(1))
			for n := range int64(50) {
				if n%4 != 0 {
					place++
					apply(v, zeros(place, n*block.Page, unitSize))
				}
			}
			ok(t, p.Flush(1))
			rng := rand.New(rand.NewPCG(1, 1))
			want := make([]byte, 7*block.Page)
			for i := range want {
				want[i] = byte(rng.Uint32()) % 200 // packs a little
			}
			copy(want[3*block.Page:], want[:block.Page])
			for n := range int64(7) {
				put(other, n*block.Page, want[n*block.Page:(n+1)*block.Page])
			}
			ok(t, p.Flush(1))
			got := make([]byte, len(want))
			if ok(t, other.Read(got, 0)); !bytes.Equal(got, want) {
				t.Error("what is read is something else")
			}
			ok(t, check(p))
			ok(t, p.Remove(2))
			ok(t, check(p))
		})
	}
}

// TestDamagedPart: damage of a block that stays where it is stays there, and is repaired.
func TestDamagedPart(t *testing.T) {
	s := newSplitPool(t)
	s.put(0, block.Page, 1)
	s.units()
	ok(t, s.disk.Flip("pool/pages", 2*unitSize*8+5))
	s.put(0, unitSize, 2)
	ok(t, s.p.Flush(1))
	got := make([]byte, block.Page)
	ok(t, s.v.Read(got[:2*unitSize], 0))
	err := s.v.Read(got, 0)
	isBad(t, err, 0, 2)
	if done, err := s.v.Repair(0, 2, s.want[:block.Page]); err != nil || !done {
		t.Fatal(done, err)
	}
	s.units()
}

// TestFormerFormat: a map of the format before is taken up, and one of a later is not.
func TestFormerFormat(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(data(1, 0, page(7))))
	ok(t, p.Flush(1))
	ok(t, p.Close())
	set := func(format uint64) {
		db, err := bolt.Open(o.MapFile, 0o600, nil)
		ok(t, err)
		ok(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(metaBucket)).Put([]byte("format"), numberKey(format)) }))
		ok(t, db.Close())
	}
	set(oldFormat)
	p, v = onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(data(2, 0, page(8)[:unitSize])))
	ok(t, p.Flush(1))
	got := make([]byte, block.Page)
	if ok(t, v.Read(got, 0)); got[0] != 8 || got[unitSize] != 7 {
		t.Error("what is read is something else")
	}
	ok(t, p.Close())
	set(mapFormat + 1)
	if _, err := OpenPool(disk, "pool", o); err == nil || !strings.Contains(err.Error(), "format") {
		t.Error("a map of a later format:", err)
	}
}

// TestFormer: what writes as an earlier program does splits no page, and can be opened by
// one until a later program was there.
func TestFormer(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	former := o
	former.Former = true
	p, v := onePool(t, disk, former, 10*block.Page)
	ok(t, v.Apply(data(1, 0, page(7))))
	ok(t, p.Flush(1))
	ok(t, v.Apply(data(2, 0, page(8)[:unitSize])))
	ok(t, p.Flush(1))
	split := func() bool {
		es, err := v.entriesOf(pageBucket, []int64{0})
		ok(t, err)
		return es[0].split
	}
	if split() {
		t.Error("an earlier program split a page")
	}
	ok(t, p.Close())
	p, _ = onePool(t, disk, former, 10*block.Page)
	ok(t, p.Close())
	p, v = onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(data(3, unitSize, page(9)[:unitSize])))
	ok(t, p.Flush(1))
	if !split() {
		t.Error("a later program did not split the page")
	}
	got := make([]byte, block.Page)
	if ok(t, v.Read(got, 0)); got[0] != 8 || got[unitSize] != 9 || got[2*unitSize] != 7 {
		t.Error("what is read is something else")
	}
	ok(t, p.Close())
	if _, err := OpenPool(disk, "pool", former); err == nil || !strings.Contains(err.Error(), "format") {
		t.Error("an earlier program opens what a later one wrote:", err)
	}
}

// TestLeavesComeBack: what is encoded is decoded, with split pages among others or without.
func TestLeavesComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		var in [leafPages]entry
		for i := range in {
			e := entry{kind: entryKind(rng.IntN(3)), birth: array.Place(rng.Uint64N(1 << 60))}
			if e.kind == stored {
				e.length, e.addr = block.Page, rng.Int64N(maxUnits)
				if rng.IntN(3) == 0 {
					e.addr, e.split = 0, true
					for u := range e.parts {
						e.parts[u] = []int64{noPart, rng.Int64N(maxUnits)}[rng.IntN(2)]
					}
					e.parts[rng.IntN(pageUnits)] = rng.Int64N(maxUnits - 1)
				}
			}
			in[i] = e
		}
		b := encodeLeaf(&in)
		for i := range in {
			if got := leafEntry(b, int64(i)); got != in[i] || got.sound() != nil {
				t.Fatalf("entry %d: %+v became %+v: %v", i, in[i], got, got.sound())
			}
		}
	}
	none := [leafPages]entry{}
	if encodeLeaf(&none) != nil {
		t.Error("a leaf that says nothing has a value")
	}
}

// BenchmarkDestageSmallWrites puts blocks that lie all over a volume on pages.
func BenchmarkDestageSmallWrites(b *testing.B) {
	o := testOptions(b.TempDir())
	o.Limit = 20000 * block.Page
	p, err := OpenPool(vfs.NewOS(b.TempDir()), ".", o)
	ok(b, err)
	defer p.Close()
	const pages = 8192
	v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: pages * block.Page})
	ok(b, err)
	place := array.Place(0)
	put := func(off int64, n int) {
		place++
		r := journal.Record{Group: 1, Pos: array.Position{Place: place}, Kind: journal.Data, Volume: 1, Offset: off, Length: int64(n), Payload: bytes.Repeat([]byte{byte(place)}, n)}
		ok(b, v.Apply(r))
	}
	for at := range int64(pages) {
		put(at*block.Page, block.Page)
	}
	ok(b, p.Flush(1))
	rng := rand.New(rand.NewPCG(1, 1))
	b.SetBytes(1024 * unitSize)
	for b.Loop() {
		for range 1024 {
			put(rng.Int64N(pages*pageUnits)*unitSize, unitSize)
		}
		ok(b, p.Flush(1))
	}
}
