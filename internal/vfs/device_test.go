// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestExamine: two paths are one thing exactly if they lead to the same file.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, os.WriteFile(at("a"), []byte("123"), 0o600))
	ok(t, os.WriteFile(at("b"), nil, 0o600))
	ok(t, os.Symlink("a", at("link")))
	ok(t, os.Link(at("a"), at("hard")))
	a := must(Examine(at("a")))(t)
	if a.Block || a.Size != 3 {
		t.Fatalf("%+v", a)
	}
	for name, same := range map[string]bool{"link": true, "hard": true, "b": false} {
		if d := must(Examine(at(name)))(t); (d.ID == a.ID) != same {
			t.Errorf("%s: %+v beside %+v", name, d, a)
		}
	}
	if _, err := Examine(at("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, path := range []string{dir, "/dev/null"} {
		if _, err := Examine(path); err == nil || !strings.Contains(err.Error(), "neither a block device nor a plain file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSectors(t *testing.T) {
	for n, fits := range map[uint32]bool{512: true, 4096: true, 1024: true, 0: false, 520: false, 8192: false, 65536: false} {
		if err := sectorFits("x", n); (err == nil) != fits {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// TestAbsoluteName: a name that begins with a slash is no name below the root.
func TestAbsoluteName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	ok(t, os.WriteFile(path, []byte("abc"), 0o600))
	f := must(NewOS(t.TempDir()).Open(path, ReadOnly))(t)
	if n := must(f.Size())(t); n != 3 {
		t.Fatal(n)
	}
}

func TestCheckBlank(t *testing.T) {
	m := NewMem()
	newDevice(t, m, devSize)
	f := must(m.Open("dev", Direct))(t)
	ok(t, CheckBlank(f, "dev"))
	ok(t, m.Flip("dev", 8*BlankSize)) // behind it anything may be
	ok(t, CheckBlank(f, "dev"))
	ok(t, m.Flip("dev", 8*BlankSize-1))
	if err := CheckBlank(f, "dev"); array.KindOf(err) != array.Conflict || !strings.Contains(err.Error(), "blkdiscard") {
		t.Fatal(err)
	}
}
