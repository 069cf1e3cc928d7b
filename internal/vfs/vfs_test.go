// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// each runs fn on a real directory and on a disk in memory.
func each(t *testing.T, fn func(t *testing.T, fs FS)) {
	t.Run("os", func(t *testing.T) { fn(t, NewOS(t.TempDir())) })
	t.Run("mem", func(t *testing.T) { fn(t, NewMem()) })
	t.Run("inject", func(t *testing.T) { fn(t, NewInject(NewMem())) })
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAndNames(t *testing.T) {
	each(t, func(t *testing.T, fs FS) {
		ok(t, fs.MkdirAll("a/b"))
		if _, err := fs.Open("a/b/x", 0); err == nil {
			t.Fatal("a file that isn't there was opened")
		}
		f := must(fs.Open("a/b/x", Create|Direct))(t)
		page := NewBuffer(Align)
		copy(page, "hello")
		if _, err := f.WriteAt(page, Align); err != nil {
			t.Fatal(err)
		}
		ok(t, f.Allocate(4*Align))
		if n := must(f.Size())(t); n != 4*Align {
			t.Fatalf("size %d", n)
		}
		ok(t, f.Sync())
		got := NewBuffer(Align)
		if _, err := f.ReadAt(got, Align); err != nil || !bytes.Equal(got, page) {
			t.Fatal("read back something else", err)
		}
		if _, err := f.ReadAt(got[:100], 0); err == nil {
			t.Fatal("a misaligned read of a direct file passed")
		}
		if _, err := f.WriteAt(got, 512); err == nil {
			t.Fatal("a misaligned write of a direct file passed")
		}
		ok(t, fs.Rename("a/b/x", "a/b/y"))
		if err := fs.Rename("a/b/y", "a/y"); err == nil {
			t.Fatal("a rename to another directory passed")
		}
		ok(t, fs.SyncDir("a/b"))
		if names := must(fs.List("a/b"))(t); !slices.Equal(names, []string{"y"}) {
			t.Fatal(names)
		}
		if _, err := fs.Open("a/b/y", Create|Exclusive); err == nil {
			t.Fatal("exclusive creation of a file that is there passed")
		}
		ok(t, f.Close())
		ok(t, fs.Remove("a/b/y"))
		if names := must(fs.List("a/b"))(t); len(names) != 0 {
			t.Fatal(names)
		}
	})
}

func TestLockExcludes(t *testing.T) {
	each(t, func(t *testing.T, fs FS) {
		a := must(fs.Open("LOCK", Create|Lock))(t)
		if _, err := fs.Open("LOCK", Create|Lock); err == nil {
			t.Fatal("locked twice")
		}
		ok(t, a.Close())
		b := must(fs.Open("LOCK", Create|Lock))(t)
		ok(t, b.Close())
	})
}

// TestCrashKeepsTheDurable writes, syncs a part, and looks at many power cuts:
// what was synced is always there, what wasn't is sometimes there and sometimes
// not, and sometimes torn.
func TestCrashKeepsTheDurable(t *testing.T) {
	m := NewMem()
	f := must(m.Open("x", Create))(t)
	old := bytes.Repeat([]byte{1}, 4*memSector)
	must(f.WriteAt(old, 0))(t)
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	must(f.WriteAt(bytes.Repeat([]byte{2}, memSector), memSector))(t)
	ok(t, m.Rename("x", "y"))
	var renamed, kept, lost, torn int
	for seed := range uint64(400) {
		c := m.CrashClone(rand.New(rand.NewPCG(seed, 1)), 50)
		name := c.Names()[0]
		if name == "y" {
			renamed++
		}
		g := must(c.Open(name, 0))(t)
		got := make([]byte, 4*memSector)
		must(g.ReadAt(got, 0))(t)
		mid := got[memSector : 2*memSector]
		if !bytes.Equal(got[:memSector], old[:memSector]) || !bytes.Equal(got[2*memSector:], old[2*memSector:]) {
			t.Fatal("durable bytes changed")
		}
		switch n := bytes.Count(mid, []byte{2}); n {
		case 0:
			lost++
		case memSector:
			kept++
		default:
			torn++
		}
	}
	if renamed < 100 || renamed > 300 || kept < 100 || lost < 100 || torn == 0 {
		t.Fatalf("of 400 cuts %d renamed, %d kept, %d lost, %d torn", renamed, kept, lost, torn)
	}
}

func TestCrashLosesUnsyncedNameAndForgetfulDiskLosesAll(t *testing.T) {
	m := NewMem()
	f := must(m.Open("x", Create))(t)
	must(f.WriteAt([]byte("abc"), 0))(t)
	ok(t, f.Sync())
	if n := m.CrashClone(rand.New(rand.NewPCG(1, 1)), 0).Names(); len(n) != 0 {
		t.Fatal("the name was durable without SyncDir:", n)
	}
	m.IgnoreSync()
	ok(t, m.SyncDir("."))
	if n := m.CrashClone(rand.New(rand.NewPCG(1, 1)), 0).Names(); len(n) != 0 {
		t.Fatal("a forgetful disk remembered:", n)
	}
}

func TestInject(t *testing.T) {
	i := NewInject(NewMem())
	i.Add(Rule{Verb: OpWrite, Match: "x", Skip: 1, Times: 1, Err: syscall.ENOSPC, Short: 2})
	i.Add(Rule{Verb: OpRead, FlipBit: 1})
	f := must(i.Open("x", Create))(t)
	must(f.WriteAt([]byte("abcd"), 0))(t)
	if n, err := f.WriteAt([]byte("efgh"), 0); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	must(f.WriteAt([]byte("z"), 3))(t)
	got := make([]byte, 4)
	must(f.ReadAt(got, 0))(t)
	if string(got) != "dfcz" {
		t.Fatalf("%q", got)
	}
	i.Add(Rule{Verb: OpSync, Err: syscall.EIO})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	i.Clear()
	ok(t, f.Sync())
}

// TestAllocateTakesAllOrNothing: what a disk has no room for is refused, and takes none.
func TestAllocateTakesAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := NewOS(dir).Open("f", Create)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Allocate(1 << 20); err != nil {
		t.Fatal(err)
	}
	var before, after unix.Stat_t
	name := filepath.Join(dir, "f")
	if err := unix.Stat(name, &before); err != nil {
		t.Fatal(err)
	}
	if err := f.Allocate(1 << 50); !errors.Is(err, unix.ENOSPC) {
		t.Error("a file of a PiB:", err)
	}
	if err := unix.Stat(name, &after); err != nil || after.Blocks != before.Blocks || after.Size != before.Size {
		t.Errorf("%d blocks and %d bytes, before %d and %d: %v", after.Blocks, after.Size, before.Blocks, before.Size, err)
	}
}
