// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// fillUp writes pages until there is no room, and returns how many those were.
func fillUp(t *testing.T, p *Pool, v *Volume, place *array.Place, from, most int64) (n int64) {
	t.Helper()
	for ; n < most; n++ {
		a, err := v.Spacious((from+n)*block.Page, block.Page)
		ok(t, err)
		if a == Unsure {
			ok(t, p.Flush(1))
			a, err = v.Spacious((from+n)*block.Page, block.Page)
			ok(t, err)
		}
		if a != Enough {
			break
		}
		*place++
		ok(t, v.Apply(data(*place, (from+n)*block.Page, page(byte(n%250+1)))))
	}
	ok(t, p.Flush(1))
	return n
}

// TestALimitCountsNoSnapshots: at its limit a volume may be written again, although a
// snapshot keeps what was there.
func TestALimitCountsNoSnapshots(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	v.SetCap(512 * block.Page)
	place := array.Place(0)
	if n := fillUp(t, p, v, &place, 0, 1000); n < 400 || n > 512 {
		t.Fatal(n)
	}
	place++
	ok(t, v.Freeze(place, 50))
	p.Advance(1, place)
	ok(t, p.Flush(1))
	before := v.Used().Stored
	if n := fillUp(t, p, v, &place, 0, 100); n != 100 || v.Used().Stored != before {
		t.Errorf("%d of 100 pages could be written again, and %d bytes are the volume's own, %d before", n, v.Used().Stored, before)
	}
}

// TestWhatIsSetAsideCanBeWritten: all of a fully provisioned volume, as large as the CPG, or
// a limit of it, lets it be made.
func TestWhatIsSetAsideCanBeWritten(t *testing.T) {
	for _, limit := range []int64{0, 2048 * block.Page} {
		o := testOptions(t.TempDir())
		o.Limit = 4096 * block.Page
		p, err := OpenPool(vfs.NewMem(), "pool", o)
		ok(t, err)
		p.SetCap(limit)
		p.mu.Lock()
		n := p.free() / pageUnits
		p.mu.Unlock()
		v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: n * block.Page, Provisioning: Full})
		ok(t, err)
		place := array.Place(0)
		if wrote := fillUp(t, p, v, &place, 0, n); wrote != n {
			t.Errorf("%d of %d pages could be written", wrote, n)
		}
		ok(t, p.Close())
	}
}

// TestWhatTheJournalHoldsIsNotFree: in a full pool a write does not count on what the
// journal holds; when that lets go, there is room.
func TestWhatTheJournalHoldsIsNotFree(t *testing.T) {
	o := outsideOptions(t.TempDir())
	o.Limit = 4096 * block.Page
	p, v := onePool(t, vfs.NewMem(), o, 1<<30)
	place, outs := array.Place(0), []*Outside(nil)
	const size = 16 * block.Page
	for n := range int64(8) {
		place++
		r := data(place, n*size, bytes.Repeat(page(byte(n+1)), 16))
		out, _ := putOutside(t, v, &r)
		outs = append(outs, out)
		ok(t, v.Apply(r))
	}
	ok(t, p.Flush(1))
	fillUp(t, p, v, &place, 8*16, 5000)
	if !p.Crowded() {
		t.Error("nobody is told to let go")
	}
	if a, err := v.Spacious(0, size); err != nil || a != Unsure {
		t.Error("a write over what the journal holds:", a, err)
	}
	for _, o := range outs {
		o.Drop()
	}
	if a, err := v.Spacious(0, size); err != nil || a != Enough {
		t.Error("a write over what it held:", a, err)
	}
}

// TestAFailedFlushIsEverybodys: the kernel tells of a failure once; who flushed beside it
// must not believe that all went well.
func TestAFailedFlushIsEverybodys(t *testing.T) {
	p, _ := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<30)
	since := p.failures.Load()
	ok(t, p.flushPages(since))
	p.failures.Add(1) // of another
	if p.flushPages(since) == nil {
		t.Error("what was written before another's flush failed counts as durable")
	}
	ok(t, p.flushPages(p.failures.Load()))
}
