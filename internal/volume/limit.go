// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// A pool in a directory can have as much as it may, and as the file system can give. The
// second changes without a word from anybody: other files there grow too, those of other
// pools among them. So it is looked at again and again, and whatever asks how full the
// pool is, or whether something has room, goes by the smaller of the two: warnings and
// refusals come before the disk is full. What is set aside for fully provisioned volumes
// the page file has already, and with it the others' file systems have it no more.

// leastForMap is what is left of a file system's free space for the map of pages, which
// grows with them, and mapPart which part of it if that is more.
const (
	leastForMap = 16 << 20
	mapPart     = 32
)

// configured returns how many units the pool may have, whatever there is.
func (p *Pool) configured() int64 { return min(max(p.o.Limit/unitSize, 0), maxUnits) }

// measure looks at what the file system can give. While the page file grows there is
// nothing to measure.
func (p *Pool) measure() {
	if p.o.Pages != "" || !p.growing.TryLock() {
		return
	}
	defer p.growing.Unlock()
	free, disk, known := vfs.Free(p.pages)
	if !known {
		return
	}
	spare := max(0, free-max(free/mapPart, leastForMap))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.units.limit = min(p.configured(), (p.fileSize+spare)/block.Page*pageUnits)
	p.ground = Ground{Disk: disk, Spare: spare, File: p.fileSize}
}

// MaySetAside says if there is no room for a volume whose size is to be set aside.
func (p *Pool) MaySetAside(how Provisioning, size int64) error {
	if how != Full || size <= 0 || size > MaxSize {
		return nil // what else is wrong is said elsewhere
	}
	p.measure()
	p.mu.Lock()
	defer p.mu.Unlock()
	return refuseAside(pagesOf(size)*pageUnits, p.free())
}

func refuseAside(n, free int64) error {
	if n > free {
		return array.Errorf(array.Full, "%d MiB are to be set aside, the CPG has %d free", n*unitSize>>20, max(0, free)*unitSize>>20)
	}
	return nil
}
