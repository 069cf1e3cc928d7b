// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

const devSize = 4 << 20

// newDevice makes a large blank file that stands for a device.
func newDevice(t *testing.T, files FS, size int64) {
	t.Helper()
	f := must(files.Open("dev", Create))(t)
	ok(t, f.Allocate(size))
	ok(t, f.Sync())
	ok(t, f.Close())
	ok(t, files.SyncDir("."))
}

// eachDevice runs fn with a blank device: a real file, and one in memory.
func eachDevice(t *testing.T, fn func(t *testing.T, files FS)) {
	each(t, func(t *testing.T, files FS) {
		newDevice(t, files, devSize)
		fn(t, files)
	})
}

func TestPartitionedFilesAndNames(t *testing.T) {
	eachDevice(t, func(t *testing.T, files FS) {
		p := must(OpenPartitioned(files, "dev", 0))(t)
		ok(t, p.MkdirAll("."))
		if err := p.MkdirAll("a"); err == nil {
			t.Fatal("a directory was made")
		}
		if _, err := p.Open("x", 0); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("a file that isn't there was opened:", err)
		}
		small := must(p.Open("x.new", Create))(t)
		must(small.WriteAt([]byte("hello"), 0))(t)
		must(small.WriteAt([]byte("there"), 4098))(t)
		ok(t, small.Sync())
		big := must(p.Open("big", Create|Direct))(t)
		ok(t, big.Allocate(256*Align))
		page := NewBuffer(Align)
		copy(page, "page")
		must(big.WriteAt(page, 255*Align))(t)
		if _, err := big.WriteAt(page[:100], 0); err == nil {
			t.Fatal("a misaligned write of a direct file passed")
		}
		ok(t, p.Rename("x.new", "x"))
		ok(t, p.SyncDir("."))
		if _, err := p.Open("x", Create|Exclusive); !errors.Is(err, fs.ErrExist) {
			t.Fatal("exclusive creation of a file that is there:", err)
		}
		if _, err := OpenPartitioned(files, "dev", 0); err == nil {
			t.Fatal("a device was opened twice")
		}
		ok(t, small.Close())
		ok(t, big.Close())
		ok(t, p.Close())

		p = must(OpenPartitioned(files, "dev", ReadOnly))(t)
		if names := must(p.List("."))(t); !slices.Equal(names, []string{"big", "x"}) {
			t.Fatal(names)
		}
		small = must(p.Open("x", ReadOnly))(t)
		got := make([]byte, 5000)
		n, _ := small.ReadAt(got, 0)
		want := make([]byte, 4103)
		copy(want, "hello")
		copy(want[4098:], "there")
		if !bytes.Equal(got[:n], want) {
			t.Fatalf("read back %d bytes, something else", n)
		}
		if _, err := small.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrPermission) {
			t.Fatal("a read-only device was written to:", err)
		}
		big = must(p.Open("big", Direct))(t)
		back := NewBuffer(Align)
		must(big.ReadAt(back, 255*Align))(t)
		if !bytes.Equal(back, page) {
			t.Fatal("read back something else")
		}
		must(big.ReadAt(back, 254*Align))(t)
		if !allZero(back) {
			t.Fatal("new bytes are not zeros")
		}
		if err := p.Remove("x"); !errors.Is(err, fs.ErrPermission) {
			t.Fatal("removed from a read-only device:", err)
		}
	})
}

// TestPartitionedRoom: what is full is told, a place is used again, but not before the
// table on the device has stopped naming it, and then it is zeros.
func TestPartitionedRoom(t *testing.T) {
	m := NewMem()
	newDevice(t, m, devSize)
	p := must(OpenPartitioned(m, "dev", 0))(t)
	a := must(p.Open("a", Create|Direct))(t)
	ok(t, a.Allocate(2<<20))
	page := NewBuffer(Align)
	page[0] = 1
	must(a.WriteAt(page, 0))(t)
	ok(t, a.Close())
	ok(t, p.SyncDir("."))
	ok(t, p.Remove("a"))
	b := must(p.Open("b", Create|Direct))(t)
	if err := b.Allocate(2 << 20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal("room that the durable table names was given away:", err)
	}
	ok(t, p.SyncDir("."))
	ok(t, b.Allocate(2<<20))
	must(b.ReadAt(page, 0))(t)
	if page[0] != 0 {
		t.Fatal("a new file has an old one's bytes")
	}
	if err := b.Allocate(devSize); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	c := must(p.Open("c", Create))(t)
	must(c.WriteAt([]byte("c"), 0))(t)
	if err := b.Allocate(3 << 20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal("a file grew into the next one:", err)
	}
	got := make([]byte, 1)
	must(c.ReadAt(got, 0))(t)
	if string(got) != "c" {
		t.Fatal("a file was overwritten")
	}
}

// TestPartitionedRefuses: nothing of somebody else's is overwritten, and the error says
// what was found.
func TestPartitionedRefuses(t *testing.T) {
	newer := (&table{}).encode()
	binary.LittleEndian.PutUint32(newer[8:], tableVersion+1)
	binary.LittleEndian.PutUint32(newer[60:], block.Checksum(newer[:60]))
	over := (&table{files: []tableFile{{"a", firstExtent, Align, 0}, {"b", firstExtent, Align, 0}}}).encode()
	twice := (&table{files: []tableFile{{"a", 0, 0, 0}, {"a", 0, 0, 0}}}).encode()
	named := (&table{files: []tableFile{{"../a", 0, 0, 0}}}).encode()
	short := (&table{files: []tableFile{{"a", devSize, 1 << 30, 5}}}).encode()
	torn := (&table{sequence: 7, files: []tableFile{{"a", 0, 0, 0}}}).encode()
	torn[40]++
	for _, c := range []struct {
		what  string
		at    int64
		bytes string
		size  int64
		tells string
		kind  array.Kind
	}{
		{"a file system", 1080, "\x53\xef", devSize, "ext2, ext3 or ext4", array.Conflict},
		{"a file system on a second half", tableRoom + 9, "x", devSize, "something unknown, from byte 524297 on", array.Conflict},
		{"unknown bytes", 700, "x", devSize, "something unknown, from byte 700 on", array.Conflict},
		{"a partition table", 510, "\x55\xaa", devSize, "wipefs --all dev", array.Conflict},
		{"a newer version", 0, string(newer), devSize, "format version 2, this program knows 1", array.Invalid},
		{"files in one place", 0, string(over), devSize, "where another one is", array.Medium},
		{"two files of one name", 0, string(twice), devSize, "one twice", array.Medium},
		{"a path", 0, string(named), devSize, "bad name", array.Medium},
		{"a device that was larger", 0, string(short), devSize, "there are only", array.Medium},
		{"a damaged table", 0, string(torn), devSize, "fail their checksums", array.Medium},
		{"a byte behind the mark's place", 9, "x", devSize, "something unknown, from byte 9 on", array.Conflict},
		{"a tiny device", 0, "", firstExtent, "too small", array.Invalid},
	} {
		m := NewMem()
		newDevice(t, m, c.size)
		f := must(m.Open("dev", 0))(t)
		must(f.WriteAt([]byte(c.bytes), c.at))(t)
		for _, flags := range []Flag{0, ReadOnly} {
			before := must(m.Open("dev", 0))(t)
			_, err := OpenPartitioned(m, "dev", flags)
			if err == nil || !strings.Contains(err.Error(), c.tells) || array.KindOf(err) != c.kind {
				t.Errorf("%s: %v, of kind %v\n\twant %q", c.what, err, array.KindOf(err), c.tells)
			}
			got := make([]byte, c.size)
			must(before.ReadAt(got, 0))(t)
			if copy(got[c.at:], make([]byte, len(c.bytes))); !allZero(got) {
				t.Errorf("%s: the device was changed", c.what)
			}
		}
	}
}

// TestPartitionedSurvivesOneCopy: either copy of the table may be lost, the other is
// the same, and the lost one is made anew. A file system made over the first one is no
// lost copy.
func TestPartitionedSurvivesOneCopy(t *testing.T) {
	m := NewMem()
	newDevice(t, m, devSize)
	p := must(OpenPartitioned(m, "dev", 0))(t)
	f := must(p.Open("f", Create))(t)
	must(f.WriteAt([]byte("kept"), 0))(t)
	ok(t, f.Sync())
	ok(t, f.Close())
	ok(t, p.Close())
	for i := range int64(2) {
		ok(t, m.Flip("dev", 8*(i*tableRoom+20)))
		for range 2 {
			p := must(OpenPartitioned(m, "dev", 0))(t)
			f := must(p.Open("f", 0))(t)
			got := make([]byte, 4)
			must(f.ReadAt(got, 0))(t)
			if string(got) != "kept" {
				t.Fatalf("%q", got)
			}
			ok(t, f.Close())
			ok(t, p.Close())
			ok(t, m.Flip("dev", 8*((1-i)*tableRoom+20))) // the other copy, now that this one is whole
			p = must(OpenPartitioned(m, "dev", 0))(t)
			ok(t, p.Close())
		}
	}
	dev := must(m.Open("dev", 0))(t)
	must(dev.WriteAt(make([]byte, 1024), 0))(t)
	must(dev.WriteAt([]byte("\x53\xef"), 1080))(t)
	if _, err := OpenPartitioned(m, "dev", 0); array.KindOf(err) != array.Conflict {
		t.Fatal("a file system made over a journal was taken for a lost copy:", err)
	}
}

// TestPartitionedFailedTable: after a failed write of the table nothing is changed any
// more until the device is opened again.
func TestPartitionedFailedTable(t *testing.T) {
	m := NewMem()
	newDevice(t, m, devSize)
	i := NewInject(m)
	p := must(OpenPartitioned(i, "dev", 0))(t)
	f := must(p.Open("f", Create))(t)
	i.Add(Rule{Verb: OpSync, Skip: 1, Times: 1, Err: syscall.EIO})
	if err := p.SyncDir("."); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := p.SyncDir("."); !errors.Is(err, syscall.EIO) {
		t.Fatal("a failed table is forgotten:", err)
	}
	ok(t, f.Close())
	ok(t, p.Close())
	p = must(OpenPartitioned(i, "dev", 0))(t)
	ok(t, p.SyncDir("."))
}

// life replaces a file again and again and fills others, on a device whose power is cut
// before operations of the device. Its table has several sectors. It returns how many cuts
// lost what was durable.
func life(t *testing.T, seed uint64, forgetful bool) (cuts, lost int) {
	t.Helper()
	m := NewMem()
	newDevice(t, m, firstExtent+512<<10)
	if forgetful {
		m.IgnoreSync()
	}
	rng := rand.New(rand.NewPCG(seed, 21))
	dice := rand.New(rand.NewPCG(seed, 22))
	p := must(OpenPartitioned(m, "dev", 0))(t)
	for i := range 20 {
		ok(t, must(p.Open(fmt.Sprintf("empty-%d", i), Create))(t).Close())
	}
	ok(t, p.SyncDir("."))
	one := 4
	if testing.Short() {
		one = 16
	}
	var told, durable byte // the newest number that was begun to be stored, and was stored
	var filled []string
	m.SetHook(func(op Op) {
		if dice.IntN(one) != 0 {
			return
		}
		cuts++
		clone := m.CrashClone(dice, []int{0, 50, 90, 100}[dice.IntN(4)])
		if err := alive(clone, durable, told, filled); err != nil {
			if lost++; !forgetful {
				t.Fatalf("seed %d, cut %d before %v of %d bytes at %d: %v", seed, cuts, op.Verb, op.Length, op.Offset, err)
			}
		}
	})
	for n := byte(1); n < 24; n++ {
		f := must(p.Open("number.new", Create))(t)
		told = n
		must(f.WriteAt(bytes.Repeat([]byte{n}, 100), 0))(t)
		ok(t, f.Sync())
		ok(t, f.Close())
		ok(t, p.Rename("number.new", "number"))
		ok(t, p.SyncDir("."))
		durable = n
		name := "fill-" + string('a'+rune(rng.IntN(6)))
		if i := slices.Index(filled, name); i >= 0 {
			filled = slices.Delete(slices.Clone(filled), i, i+1)
			ok(t, p.Remove(name))
			continue
		}
		f = must(p.Open(name, Create|Direct))(t)
		ok(t, f.Allocate(16*Align))
		page := NewBuffer(Align)
		page[5] = name[5]
		must(f.WriteAt(page, 15*Align))(t)
		ok(t, f.Sync())
		ok(t, f.Close())
		ok(t, p.SyncDir("."))
		filled = append(slices.Clone(filled), name)
	}
	m.SetHook(nil)
	return cuts, lost
}

// alive opens what a power cut left, and compares it.
func alive(m *Mem, durable, told byte, filled []string) error {
	p, err := OpenPartitioned(m, "dev", 0)
	if err != nil {
		return err
	}
	f, err := p.Open("number", ReadOnly)
	if err != nil {
		if durable == 0 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	b := make([]byte, 100)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	if b[0] < durable || b[0] > told || !bytes.Equal(b, bytes.Repeat(b[:1], 100)) {
		return errors.New("the file is another one")
	}
	names, err := p.List(".")
	if err != nil {
		return err
	}
	for _, name := range filled {
		if !slices.Contains(names, name) {
			return errors.New(name + " is gone")
		}
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "fill-") {
			continue
		}
		f, err := p.Open(name, Direct|ReadOnly)
		if err != nil {
			return err
		}
		page := NewBuffer(16 * Align)
		if _, err := f.ReadAt(page, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		// What was not yet durable is there or zeros, but never another file's.
		want := NewBuffer(16 * Align)
		if slices.Contains(filled, name) || !allZero(page) {
			want[15*Align+5] = name[5]
		}
		if !bytes.Equal(page, want) {
			return errors.New(name + " has other bytes")
		}
	}
	return p.Close()
}

func TestPartitionedPowerCuts(t *testing.T) {
	total := 0
	for seed := range uint64(6) {
		cuts, _ := life(t, seed, false)
		total += cuts
	}
	if total < 60 {
		t.Fatalf("only %d power cuts", total)
	}
	t.Logf("%d power cuts", total)
	if _, lost := life(t, 1, true); lost == 0 {
		t.Fatal("a disk that ignores every flush lost nothing that was noticed")
	}
}

// TestPartitionedShowsNoOldBytes cuts the power while a file takes the place of a removed
// one: until it is durable it is there or not, but never with the old one's bytes.
func TestPartitionedShowsNoOldBytes(t *testing.T) {
	m := NewMem()
	newDevice(t, m, firstExtent+64<<10)
	p := must(OpenPartitioned(m, "dev", 0))(t)
	old := must(p.Open("old", Create|Direct))(t)
	page := NewBuffer(Align)
	page[0] = 1
	must(old.WriteAt(page, 0))(t)
	ok(t, old.Sync())
	ok(t, old.Close())
	ok(t, p.Remove("old"))
	ok(t, p.SyncDir("."))
	f := must(p.Open("new", Create|Direct))(t)
	seen, dice := 0, rand.New(rand.NewPCG(1, 23))
	m.SetHook(func(Op) {
		for range 20 {
			c := must(OpenPartitioned(m.CrashClone(dice, 50), "dev", ReadOnly))(t)
			g, err := c.Open("new", Direct)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			seen++
			if n, _ := g.ReadAt(page, 0); page[0] != 0 && n > 0 {
				t.Fatal("a new file has an old one's bytes")
			}
		}
	})
	ok(t, f.Allocate(Align))
	ok(t, f.Sync())
	m.SetHook(nil)
	if seen < 10 {
		t.Fatalf("it was there %d times", seen)
	}
}

func FuzzTable(f *testing.F) {
	whole := &table{id: [16]byte{1, 2}, sequence: 3, files: []tableFile{
		{"format", firstExtent, Align, 48}, {"lock", 0, 0, 0}, {"segment-00000", firstExtent + Align, 1 << 20, 1 << 20},
	}}
	f.Add(whole.encode(), int64(devSize))
	f.Add((&table{}).encode(), int64(devSize))
	f.Add([]byte(tableMagic), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		// Most inputs fail their checksums: give them the right ones, too.
		for _, mend := range []bool{false, true} {
			if mend && len(b) >= tableHead {
				b = bytes.Clone(b)
				copy(b, tableMagic)
				n := min(int64(len(b)), tableHead+int64(binary.LittleEndian.Uint32(b[12:]))*tableEntry)
				binary.LittleEndian.PutUint32(b[56:], block.Checksum(b[tableHead:n]))
				binary.LittleEndian.PutUint32(b[60:], block.Checksum(b[:60]))
			}
			got, err := decodeTable(b, size)
			if err != nil {
				continue
			}
			again, err := decodeTable(got.encode(), size)
			if err != nil || !slices.Equal(again.files, got.files) || again.id != got.id || again.sequence != got.sequence {
				t.Fatalf("%+v became %+v: %v", got, again, err)
			}
			if what := recognise(got.encode()); what != "" {
				t.Fatalf("a table looks like %s", what)
			}
			for _, e := range got.files {
				if e.off < 0 || e.off+e.room > size || e.size > e.room {
					t.Fatalf("%+v on %d bytes", e, size)
				}
			}
		}
	})
}
