// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestErrorsEverywhere gives an error at the first operation of the disk below the pages,
// at the second, and so on. What is said names the error and the action; what was applied
// stays readable, of all kinds of volumes, and is put on pages when the disk is well again.
func TestErrorsEverywhere(t *testing.T) {
	for _, verb := range []vfs.Verb{vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpAllocate, vfs.OpSyncDir} {
		n, step := 0, 1
		if verb == vfs.OpRead { // there are many alike
			step = 3
		}
		for failAt(t, verb, n) {
			n += step
		}
		t.Logf("%s: %d times", verb, n/step)
		if n == 0 {
			t.Errorf("no %s was met", verb)
		}
	}
}

// failAt lets the n-th operation of a kind fail, and reports whether there was one.
func failAt(t *testing.T, verb vfs.Verb, n int) (hit bool) {
	t.Helper()
	disk, o := vfs.NewInject(vfs.NewMem()), testOptions(t.TempDir())
	disk.Add(vfs.Rule{Verb: verb, Skip: n, Times: 1, Err: syscall.EIO, Before: func(vfs.Op) { hit = true }})
	told := func(err error) {
		if err != nil && (!errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "destage") && !strings.Contains(err.Error(), "open pool")) {
			t.Fatalf("%s %d: it is said that %v", verb, n, err)
		}
	}
	p, err := OpenPool(disk, "pool", o)
	if told(err); err != nil {
		p, err = OpenPool(disk, "pool", o)
		ok(t, err)
	}
	defer p.Close()
	const pages = 24
	specs := []VolumeSpec{{ID: 1}, {ID: 2, Compress: true}, {ID: 3, Provisioning: Dedup}}
	want := map[array.VolumeID][]byte{}
	for _, s := range specs {
		s.Group, s.Size = 1, pages*block.Page
		_, err := p.Create(s)
		ok(t, err)
		want[s.ID] = make([]byte, s.Size)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	place := array.Place(0)
	for round := range 3 {
		for range 8 {
			for id, content := range want {
				n := []int{512, unitSize, block.Page}[rng.IntN(3)]
				off := rng.IntN(len(content)-n) / 512 * 512
				b := bytes.Repeat([]byte{byte(1 + rng.IntN(4)), byte(round)}, n/2)
				place++
				r := data(place, int64(off), b)
				r.Volume = id
				ok(t, p.Volume(id).Apply(r))
				copy(content[off:], b)
			}
		}
		told(p.Flush(1))
		same(t, p, want, verb, n)
	}
	disk.Clear()
	ok(t, p.Flush(1))
	same(t, p, want, verb, n)
	if p.Destaged(1) != place {
		t.Errorf("%s %d: all up to place %d is on pages, of %d", verb, n, p.Destaged(1), place)
	}
	if err := check(p); err != nil {
		t.Fatalf("%s %d: %v", verb, n, err)
	}
	return hit
}

// same reads all volumes; a read that meets the error is read again, as a host does.
func same(t *testing.T, p *Pool, want map[array.VolumeID][]byte, verb vfs.Verb, n int) {
	t.Helper()
	for id, content := range want {
		got := make([]byte, len(content))
		err := p.Volume(id).Read(got, 0)
		if errors.Is(err, syscall.EIO) {
			err = p.Volume(id).Read(got, 0)
		}
		if ok(t, err); !bytes.Equal(got, content) {
			t.Fatalf("%s %d: volume %s reads as something else", verb, n, id)
		}
	}
}

// TestForeignFiles: a pool that another process has, and a map that is foreign, cut off or
// empty of what it should have, are refused with words that name the file; the pool is as
// it was once it has its own map again.
func TestForeignFiles(t *testing.T) {
	disk, o := vfs.NewMem(), testOptions(t.TempDir())
	p, v := onePool(t, disk, o, 10*block.Page)
	ok(t, v.Apply(data(1, 0, page(7))))
	ok(t, p.Flush(1))
	if _, err := OpenPool(disk, "pool", o); array.KindOf(err) != array.Conflict || !strings.Contains(err.Error(), o.MapFile) || !strings.Contains(err.Error(), "another process") {
		t.Error("a pool that is open already:", err)
	}
	ok(t, p.Close())
	own, err := os.ReadFile(o.MapFile)
	ok(t, err)
	for name, b := range map[string][]byte{
		"foreign": bytes.Repeat([]byte("no map of pages\n"), 4096),
		"cut off": own[:2*os.Getpagesize()],
		"short":   own[:100],
	} {
		ok(t, os.WriteFile(o.MapFile, b, 0o600))
		if _, err := OpenPool(disk, "pool", o); err == nil || !strings.Contains(err.Error(), o.MapFile) {
			t.Errorf("a map that is %s: %v", name, err)
		}
		if now, err := os.ReadFile(o.MapFile); err != nil || !bytes.Equal(now, b) {
			t.Errorf("a map that is %s was written to", name)
		}
	}
	ok(t, os.WriteFile(o.MapFile, own, 0o600))
	p, v = onePool(t, disk, o, 10*block.Page)
	got := make([]byte, block.Page)
	if ok(t, v.Read(got, 0)); !bytes.Equal(got, page(7)) {
		t.Error("with its own map the pool reads as something else")
	}
	ok(t, check(p))
}

// TestSizesOutOfRange: what can't be a size is refused with what would be right, and leaves
// nothing.
func TestSizesOutOfRange(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 10*block.Page)
	for _, size := range []int64{0, -512, 1, 511, 513, block.Page + 1, MaxSize + 512, 1<<63 - 512} {
		_, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: size})
		if array.KindOf(err) != array.Invalid || !strings.Contains(err.Error(), "positive multiple of 512") {
			t.Errorf("size %d: %v", size, err)
		}
	}
	for _, r := range [][2]int64{{-512, 512}, {10 * block.Page, 512}, {10*block.Page - 512, 1024}, {1<<63 - 512, 512}} {
		if err := v.Apply(data(1, r[0], make([]byte, r[1]))); array.KindOf(err) != array.Range {
			t.Errorf("write of %d at %d: %v", r[1], r[0], err)
		}
		if err := v.Read(make([]byte, r[1]), r[0]); array.KindOf(err) != array.Range {
			t.Errorf("read of %d at %d: %v", r[1], r[0], err)
		}
	}
	if p.Volume(2) != nil {
		t.Error("a volume of an impossible size is there")
	}
	ok(t, check(p))
}

// TestVanishedDisk takes the disk below the pages away under load, or makes it read-only or
// full. A destage says so, again and again; what is in memory is read, what can't be read
// fails; and all is there when the disk is back.
func TestVanishedDisk(t *testing.T) {
	writes := []vfs.Verb{vfs.OpWrite, vfs.OpSync, vfs.OpAllocate}
	for why, verbs := range map[syscall.Errno][]vfs.Verb{
		syscall.EROFS: writes, syscall.ENOSPC: writes, syscall.ENODEV: append([]vfs.Verb{vfs.OpRead}, writes...),
	} {
		disk, o := vfs.NewInject(vfs.NewMem()), testOptions(t.TempDir())
		p, v := onePool(t, disk, o, 30*block.Page)
		other, err := p.Create(VolumeSpec{ID: 2, Group: 2, Size: block.Page})
		ok(t, err)
		for n := range int64(10) {
			ok(t, v.Apply(data(array.Place(n+1), n*block.Page, page(byte(n+1)))))
		}
		ok(t, p.Flush(1))
		for _, verb := range verbs {
			disk.Add(vfs.Rule{Verb: verb, Err: why})
		}
		for n := range int64(10) {
			off := (n + 5) * block.Page
			ok(t, v.Apply(data(array.Place(n+11), off, page(byte(n + 21))[:block.Page/2])))
			if n%4 == 3 {
				if err := p.Flush(1); !errors.Is(err, why) || !strings.Contains(err.Error(), "destage") {
					t.Errorf("%v: the destage says %v", why, err)
				}
			}
		}
		if p.Destaged(1) != 10 {
			t.Errorf("%v: all up to place %d is said to be on pages", why, p.Destaged(1))
		}
		got := make([]byte, block.Page/2)
		if ok(t, v.Read(got, 7*block.Page)); got[0] != 23 {
			t.Errorf("%v: what is in memory reads as %d", why, got[0])
		}
		if err := v.Read(got, 0); (err != nil) != (why == syscall.ENODEV) || err != nil && !errors.Is(err, why) {
			t.Errorf("%v: what is on the disk: %v", why, err)
		}
		ok(t, other.Read(got, 0)) // which has nothing there
		disk.Clear()
		ok(t, p.Flush(1))
		for n := range int64(15) {
			ok(t, v.Read(got, n*block.Page))
			want := byte(n + 1)
			if n >= 5 {
				want = byte(n - 5 + 21)
			}
			if !bytes.Equal(got, page(want)[:len(got)]) {
				t.Errorf("%v: page %d reads as %d afterwards", why, n, got[0])
			}
		}
		ok(t, check(p))
	}
}
