// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// narrow is a file system with room for so many bytes more.
type narrow struct {
	vfs.FS
	free atomic.Int64
}

type narrowFile struct {
	vfs.File
	fs *narrow
}

func (f *narrow) Open(name string, flags vfs.Flag) (vfs.File, error) {
	file, err := f.FS.Open(name, flags)
	return narrowFile{file, f}, err
}

func (f narrowFile) Free() (int64, bool) { return f.fs.free.Load(), true }

func (f narrowFile) Allocate(size int64) error {
	has, err := f.Size()
	if err != nil || size <= has {
		return err
	}
	if size-has > f.fs.free.Load() {
		return fmt.Errorf("allocate %d bytes: %w", size, syscall.ENOSPC)
	}
	f.fs.free.Add(has - size)
	return f.File.Allocate(size)
}

// TestLimitIsWhatThereIs: a pool that may have more than its file system has is as large
// as that; it warns, and refuses, before the disk is full.
func TestLimitIsWhatThereIs(t *testing.T) {
	const free = 128 << 20
	disk := &narrow{FS: vfs.NewMem()}
	disk.free.Store(free)
	var levels []int
	o := testOptions(t.TempDir())
	o.Limit, o.Grow, o.OnLevel = 1<<40, 8<<20, func(level int) { levels = append(levels, level) }
	p, v := onePool(t, disk, o, 1<<30)
	if c := p.Capacity(); c.Limit != free-leastForMap || c.Cap != c.Limit {
		t.Errorf("of %d bytes it says that it can have %+v", free, c)
	}
	if _, err := p.Create(VolumeSpec{ID: 2, Group: 1, Size: free, Provisioning: Full}); array.KindOf(err) != array.Full {
		t.Error("what isn't there was set aside:", err)
	}
	if disk.free.Load() != free {
		t.Error("a volume that was refused left something")
	}
	if err := p.MaySetAside(Full, free); array.KindOf(err) != array.Full {
		t.Error("what isn't there may be set aside:", err)
	}
	n := int64(0)
	for ; ; n++ {
		answer, err := v.Spacious(n*block.Page, block.Page)
		ok(t, err)
		if answer == None {
			break
		}
		ok(t, v.Apply(data(array.Place(n+1), n*block.Page, page(1))))
		if n%64 == 0 || answer == Unsure {
			ok(t, p.Flush(1)) // which never meets a full disk
			p.measure()
		}
	}
	ok(t, p.Flush(1))
	if most := int64(free-leastForMap) / block.Page; n < most*3/4 || n > most {
		t.Errorf("%d pages were taken of %d", n, most)
	}
	if used, most, _ := v.Room(); used*100 < most*75 {
		t.Errorf("hosts are told that %d of %d are used", used, most)
	}
	if len(levels) == 0 || levels[0] != 75 {
		t.Errorf("it told of the levels %v", levels)
	}
	// What others take is no more there, what they give back is.
	before := p.Capacity().Limit
	disk.free.Add(64 << 20)
	if now := p.Capacity().Limit; now <= before {
		t.Errorf("64 MiB more are free, and the limit goes from %d to %d", before, now)
	}
	disk.free.Store(0)
	if now := p.Capacity(); now.Limit != p.size() || now.Used > now.Limit {
		t.Errorf("nothing is free, and it says %+v", now)
	}
}
