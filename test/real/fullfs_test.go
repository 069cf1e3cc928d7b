// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/rig"
)

// TestOthersFillTheDisk: an array whose file system others have filled goes on with what
// it has, is killed, comes up, and takes part again.
func TestOthersFillTheDisk(t *testing.T) {
	p := newRig(t)
	for i := range 2 {
		p.configure(i, "size_mib = 1024", "size_mib = 64")
	}
	dir := filepath.Join(p.Dir, rig.Name(rig.A))
	p.ownFileSystem(dir, "200m")
	p.bringUp(1, "64m")
	w := p.work(1, uint64(time.Now().UnixNano()))
	w.until(setUpIn, "the pages to have room", func() bool {
		i, err := os.Stat(filepath.Join(dir, "cpg0", "pages"))
		return err == nil && i.Size() > blocks*4096
	})
	filled := fill(t, filepath.Join(dir, "others"))
	w.goesOn()
	w.must(w.Array(rig.A).Kill())
	w.alone(rig.B)
	w.start(rig.A)
	w.judge("after A came up on a full disk", true)
	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	w.goesOn()
	w.start(rig.B)
	w.must(os.Remove(filled))
	w.judge("with room again", false)
}

// ownFileSystem puts what is in dir on a small file system that is mounted there.
func (p *pair) ownFileSystem(dir, size string) {
	p.t.Helper()
	aside := dir + ".aside"
	p.must(os.Rename(dir, aside))
	p.must(os.Mkdir(dir, 0o700))
	p.must(unix.Mount("none", dir, "tmpfs", 0, "size="+size))
	p.copyAll(aside, dir)
	p.must(os.RemoveAll(aside))
	p.t.Cleanup(func() { // what is looked at later is where it was
		p.Close()
		p.copyAll(dir, aside)
		p.must(unix.Unmount(dir, unix.MNT_DETACH))
		p.must(os.Remove(dir))
		p.must(os.Rename(aside, dir))
	})
}

func (p *pair) copyAll(from, to string) {
	p.t.Helper()
	if out, err := exec.Command("cp", "-a", "--", from+"/.", to+"/").CombinedOutput(); err != nil {
		p.t.Fatalf("copy %s: %v %s", from, err, out)
	}
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int{1 << 20, 4096} { // to the last block
		b := make([]byte, n)
		for err = nil; err == nil; {
			_, err = f.Write(b)
		}
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
		t.Fatal(err)
	}
	return path
}
