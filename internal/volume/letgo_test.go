// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"runtime"
	"testing"
	"weak"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// closedPool is a pool that was used and closed.
func closedPool(t *testing.T) weak.Pointer[Pool] {
	t.Helper()
	p, err := OpenPool(vfs.NewMem(), "pool", testOptions(t.TempDir()))
	ok(t, err)
	v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: 16 * block.Page})
	ok(t, err)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, v.Apply(data(2, block.Page, page(2)[:512])))
	ok(t, p.Flush(1))
	ok(t, v.Read(make([]byte, block.Page), 0))
	ok(t, p.Close())
	return weak.Make(p)
}

// TestAClosedPoolIsLetGo by the next collection of garbage: with its buffers it is large.
func TestAClosedPoolIsLetGo(t *testing.T) {
	before := runtime.NumGoroutine()
	p := closedPool(t)
	for runtime.NumGoroutine() > before && t.Context().Err() == nil { // its own end beside Close
		runtime.Gosched()
	}
	runtime.GC()
	if p.Value() != nil {
		t.Error("something keeps a pool that was closed")
	}
}
