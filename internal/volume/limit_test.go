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

func (f narrowFile) Free() (int64, vfs.Disk, bool) { return f.fs.free.Load(), 1, true }

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

// TestTogether adds up pools of which two lie on one file system, one on another and one on
// a device.
func TestTogether(t *testing.T) {
	const gib = 1 << 30
	on := func(disk vfs.Disk, file, used, limit, most, spare int64) Capacity {
		return Capacity{Limit: limit * gib, Cap: most * gib, Used: used * gib, Ground: Ground{Disk: disk, File: file * gib, Spare: spare * gib}}
	}
	for _, c := range []struct {
		name              string
		all               []Capacity
		limit, free, caps int64
	}{
		{"nothing", nil, 0, 0, 0},
		{"one", []Capacity{on(1, 10, 4, 110, 110, 100)}, 110, 106, 110},
		{"two of one file system", []Capacity{on(1, 10, 4, 110, 110, 100), on(1, 20, 20, 120, 120, 100)}, 130, 106, 130},
		{"two, whose limits are below what it has", []Capacity{on(1, 10, 4, 30, 30, 100), on(1, 20, 20, 40, 40, 100)}, 70, 46, 70},
		{"two, of which hosts may take less of one", []Capacity{on(1, 10, 4, 110, 15, 100), on(1, 20, 20, 120, 30, 100)}, 130, 21, 45},
		{"two file systems and a device", []Capacity{on(1, 10, 4, 110, 110, 100), on(2, 20, 20, 120, 120, 100), on(0, 0, 1, 50, 50, 0)}, 280, 255, 280},
		{"one has more than hosts may take", []Capacity{on(1, 10, 8, 110, 5, 100), on(1, 10, 0, 110, 110, 100)}, 120, 110, 118},
	} {
		sum := Together(c.all...)
		if sum.Limit != c.limit*gib || sum.Free() != c.free*gib || sum.Cap != c.caps*gib {
			t.Errorf("%s: together they have %d GiB, hosts %d, %d free; it should be %d, %d and %d",
				c.name, sum.Limit/gib, sum.Cap/gib, sum.Free()/gib, c.limit, c.caps, c.free)
		}
	}
}
