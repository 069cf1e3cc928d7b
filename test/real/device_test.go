// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/internal/vfs"
)

const (
	journalRoom = 66 << 20
	pagesRoom   = 128 << 20
)

// loopDevice returns a blank block device of that size, or a plain file, and says so,
// where this user can't have one.
func loopDevice(t *testing.T, dir, name string, size int64, sector int) (path string, block bool) {
	t.Helper()
	file := filepath.Join(dir, name)
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", "--direct-io=on", fmt.Sprintf("--sector-size=%d", sector), file).CombinedOutput()
	if err != nil {
		t.Logf("%s is a plain file: no loop device can be had: %v %s", name, err, out)
		return file, false
	}
	path = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", path).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v %s", path, err, out)
		}
	})
	t.Logf("%s is %s with blocks of %d bytes", name, path, sector)
	return path, true
}

// TestBlockDevice: a block device is as large as it is, and one process's alone.
func TestBlockDevice(t *testing.T) {
	path, block := loopDevice(t, t.TempDir(), "dev", 8<<20, 4096)
	files := vfs.NewOS("/")
	d, err := vfs.Examine(path)
	if err != nil || d.Block != block || d.Size != 8<<20 {
		t.Fatalf("%+v %v", d, err)
	}
	f, err := files.Open(path, vfs.Direct|vfs.Lock)
	if err != nil {
		t.Fatal(err)
	}
	_, err = files.Open(path, vfs.Direct|vfs.Lock|vfs.ReadOnly)
	if err == nil || block && (array.KindOf(err) != array.Conflict || !strings.Contains(err.Error(), path+" is in use")) {
		t.Errorf("opened twice: %v", err)
	}
	if size, err := f.Size(); err != nil || size != 8<<20 {
		t.Error(size, err)
	}
	if err := f.Allocate(8 << 20); err != nil {
		t.Error(err)
	}
	if err := f.Allocate(8<<20 + 1); block && !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	b := vfs.NewBuffer(vfs.Align)
	b[0] = 7
	_, err = f.WriteAt(b, 8<<20-vfs.Align)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Error(err)
	}
	if f, err = files.Open(path, vfs.Direct|vfs.Create); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b[0] = 0
	if _, err := f.ReadAt(b, 8<<20-vfs.Align); err != nil || b[0] != 7 {
		t.Error(b[0], err)
	}
}

// TestDevices runs a pair whose array B has its journal and its pages on block devices,
// the journal's with blocks of 4 KiB. B is killed under load and checked each time; it
// serves alone; what isn't right about its devices is told.
func TestDevices(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	journal, block := loopDevice(t, dir, "journal", journalRoom, 4096)
	pages, _ := loopDevice(t, dir, "pages", pagesRoom, 512)
	p := newRig(t)
	p.configure(rig.A, "size_mib = 1024", "size_mib = 64")
	p.configure(rig.B, "size_mib = 1024", fmt.Sprintf("device = %q", journal))
	cpg := fmt.Sprintf("[[cpg]]\nname = \"cpg0\"\ndir = %q\ndevice = %q\n\n", filepath.Join(p.Dir, rig.Name(rig.B), "cpg0"), pages)
	p.configure(rig.B, "[target]", cpg+"[target]")
	p.bringUp(2, "64m")
	w := p.work(2, seed)
	w.goesOn()
	for _, path := range []string{journal, pages} {
		if f, err := vfs.NewOS("/").Open(path, vfs.Direct|vfs.Lock); err == nil {
			t.Errorf("%s was taken from the daemon: %v", path, f.Close())
		}
	}
	for n := range 4 {
		w.writes(uint64(50 + rng.IntN(3000)))
		w.must(w.Array(rig.B).Kill())
		w.must(w.CheckDisk(t.Context(), rig.B))
		if n%2 == 0 {
			w.writes(uint64(rng.IntN(3000)))
		}
		w.start(rig.B)
		w.whole()
	}
	w.judge("B was killed", true)
	w.move(rig.B)
	w.must(w.Array(rig.A).Kill())
	w.alone(rig.B)
	w.writes(3000)
	w.start(rig.A)
	w.judge("B served alone", true)
	w.toA()
	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	w.deviceMistakes(journal, pages)
	w.goesOn()
	w.start(rig.B)
	w.judge("the devices are as they were", false)
	for _, left := range []string{filepath.Join(w.data(), "journal"), filepath.Join(w.data(), "cpg0", "pages")} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", left, err)
		}
	}
	t.Logf("block devices: %v", block)
}

// deviceMistakes configures what can't work while B is down, and damages a device.
func (w *work) deviceMistakes(journal, pages string) {
	w.t.Helper()
	config := func(old, by string) { w.configure(rig.B, fmt.Sprintf("%q", old), fmt.Sprintf("%q", by)) }
	tells := func(what, log string, words ...string) {
		w.t.Helper()
		for _, word := range words {
			if !strings.Contains(log, word) {
				w.t.Errorf("%s: no %q in\n%s", what, word, log)
			}
		}
	}
	config(journal, "swap")
	config(pages, journal)
	config("swap", pages)
	tells("swapped devices", w.failsToStart(), journal, "it is another device, or was made smaller")
	config(pages, "swap")
	config(journal, pages)
	config("swap", journal)
	was := w.flip(spot{file: journal, off: 0}, 4096)
	w.put(spot{file: journal, off: 512 << 10}, make([]byte, 1))
	tells("foreign bytes", w.failsToStart(), "open the journal", "is not blank: it holds something unknown", "wipefs")
	w.put(spot{file: journal, off: 512 << 10}, was[:1]) // both copies begin alike
	w.put(spot{file: journal, off: 0}, was)
	before := w.flip(spot{file: pages}, pagesRoom-16<<10) // all but the label: pages in use may be anywhere
	if err := w.CheckDisk(w.t.Context(), rig.B); err == nil || !strings.Contains(err.Error(), "checksum is") {
		w.t.Errorf("damaged pages: %v", err)
	}
	w.put(spot{file: pages}, before)
	w.must(w.CheckDisk(w.t.Context(), rig.B))
}
