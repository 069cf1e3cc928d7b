// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestLongZerosHideTheBase: a long range of zeros over a volume that reads through the
// snapshot it was made from.
func TestLongZerosHideTheBase(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1000*block.Page)
	ok(t, v.Apply(data(1, 200*block.Page, page(1))))
	ok(t, v.Freeze(2, 2))
	p.Advance(1, 2)
	ok(t, p.Flush(1))
	b, err := p.Branch(VolumeSpec{ID: 3, Group: 1, Base: 2})
	ok(t, err)
	r := zeros(3, 0, 1000*block.Page)
	r.Volume = 3
	ok(t, b.Apply(r))
	ok(t, p.Flush(1))
	got := page(9)
	ok(t, b.Read(got, 200*block.Page))
	if !isZero(got) {
		t.Error("the zeroed volume shows its base")
	}
	ok(t, v.Read(got, 200*block.Page))
	if !bytes.Equal(got, page(1)) {
		t.Error("the zeros reached the base")
	}
	ok(t, check(p))
}

// TestDifference lists the pages written between two snapshots, and after the newer.
func TestDifference(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 1<<40)
	place := array.Place(0)
	write := func(pages ...int64) {
		for _, n := range pages {
			place++
			ok(t, v.Apply(data(place, n*block.Page, page(byte(place)))))
		}
	}
	freeze := func(id array.VolumeID) { place++; ok(t, v.Freeze(place, id)); p.Advance(1, place) }
	write(1, 2, 3)
	freeze(2)
	write(2, 70000)
	freeze(3)
	write(3, 2, 5)
	ok(t, p.Flush(1))
	for _, c := range []struct {
		from, to array.VolumeID
		want     []int64
	}{{2, 3, []int64{2, 70000}}, {3, 1, []int64{2, 3, 5}}, {2, 1, []int64{2, 3, 5, 70000}}, {1, 1, nil}, {2, 2, nil}} {
		var got []int64
		ok(t, p.Differ(c.from, c.to, 0, func(n int64) bool { got = append(got, n); return true }))
		if !slices.Equal(got, c.want) {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if err := p.Differ(3, 2, 0, nil); array.KindOf(err) != array.Invalid {
		t.Error("from the newer to the older:", err)
	}
}

// TestReadersOfSnapshots reads a snapshot while the volume is written and other
// snapshots come and go.
func TestReadersOfSnapshots(t *testing.T) {
	o := testOptions(t.TempDir())
	p, v := onePool(t, vfs.NewMem(), o, 8*block.Page)
	place := array.Place(0)
	write := func(b byte) {
		for n := range int64(8) {
			place++
			ok(t, v.Apply(data(place, n*block.Page, page(b))))
		}
	}
	write(1)
	place++
	ok(t, v.Freeze(place, 100))
	p.Advance(1, place)
	ok(t, p.Flush(1))
	stop := make(chan struct{})
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			buf := vfs.NewBuffer(8 * block.Page)
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := p.Volume(100).Read(buf, 0); err != nil || bytes.Count(buf, []byte{1}) != len(buf) {
					done <- fmt.Errorf("the snapshot shows something else: %w", err)
					return
				}
			}
		}()
	}
	for i := range 40 {
		place++
		ok(t, v.Freeze(place, array.VolumeID(101+i)))
		p.Advance(1, place)
		write(byte(i + 2))
		ok(t, p.Flush(1))
		if i >= 3 {
			ok(t, p.Remove(array.VolumeID(101+i-3)))
		}
	}
	close(stop)
	for range cap(done) {
		ok(t, <-done)
	}
	ok(t, check(p))
}

// promotesv asks Differ; what is not on pages yet is not in it.
func TestDifferenceOfWhatIsNotOnPages(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 100*block.Page)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, v.Freeze(2, 2))
	p.Advance(1, 2)
	ok(t, p.Flush(1))
	ok(t, v.Apply(data(3, 0, page(9))))
	n := 0
	ok(t, p.Differ(2, 1, 0, func(int64) bool { n++; return true }))
	if n != 1 {
		t.Fatalf("%d pages differ, want 1", n)
	}
}

func TestBranchOfARemovedSnapshot(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 100*block.Page)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, v.Freeze(2, 2))
	p.Advance(1, 2)
	ok(t, p.Flush(1))
	ok(t, p.Remove(2)) // between the look at the snapshot and the making of the volume
	if _, err := p.Create(VolumeSpec{ID: 3, Group: 2, Size: block.Page, Base: 2}); array.KindOf(err) != array.NotFound {
		t.Fatalf("a volume was made from a removed snapshot: %v", err)
	}
}

func TestSnapshotOfAVolumeMadeDuringAResync(t *testing.T) {
	p, _ := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 100*block.Page)
	ok(t, p.BeginResync(1))
	n, err := p.Create(VolumeSpec{ID: 5, Group: 1, Size: 100 * block.Page})
	ok(t, err)
	r := data(3, 0, page(3))
	r.Volume = 5
	ok(t, n.Apply(r))
	err = n.Freeze(4, 6)
	if err != nil {
		t.Log("refused:", err)
		return
	}
	p.Advance(1, 4)
	ok(t, p.Flush(1))
	ok(t, p.FinishResync(1, 4))
	s := p.Volume(6)
	if s == nil {
		t.Fatal("accepted and not made")
	}
	got := make([]byte, block.Page)
	ok(t, s.Read(got, 0))
	if !bytes.Equal(got, page(3)) {
		t.Fatalf("the snapshot shows %x", got[:4])
	}
}

// Grow and makeSnapshot both replace the volume's spec.
func TestGrowDuringASnapshot(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 100*block.Page)
	size := v.Spec().Size
	place := array.Place(1)
	for id := array.VolumeID(2); id < 60; id++ {
		ok(t, v.Freeze(place, id))
		p.Advance(1, place)
		done := make(chan error, 1)
		go func() { done <- p.Flush(1) }()
		for flushing := true; flushing; {
			select {
			case err := <-done:
				ok(t, err)
				flushing = false
			default:
				size += block.Page
				ok(t, v.Grow(size))
				runtime.Gosched()
			}
		}
		if got := v.Spec().Size; got != size {
			t.Fatalf("the volume grew to %d bytes and has %d after a snapshot", size, got)
		}
		place++
	}
}

// A volume goes with the snapshots that were given up, made or not, and with no others.
func TestRemoveWithSnapshotsThatWereGivenUp(t *testing.T) {
	p, v := onePool(t, vfs.NewMem(), testOptions(t.TempDir()), 100*block.Page)
	ok(t, v.Apply(data(1, 0, page(1))))
	ok(t, v.Freeze(2, 2))
	p.Advance(1, 2)
	ok(t, p.Flush(1))
	ok(t, v.Apply(data(3, 0, page(3))))
	ok(t, v.Freeze(4, 3)) // and not on pages
	p.Advance(1, 4)
	ok(t, v.Apply(data(5, 0, page(5))))
	for _, wanted := range []array.VolumeID{2, 3} {
		if err := p.RemoveWith(1, func(id array.VolumeID) bool { return id != wanted }); array.KindOf(err) != array.Conflict {
			t.Fatalf("a volume was removed although snapshot %v is wanted: %v", wanted, err)
		}
	}
	if p.Volume(1) == nil || p.Volume(2) == nil {
		t.Fatal("what was refused has removed something")
	}
	ok(t, p.RemoveWith(1, func(array.VolumeID) bool { return true }))
	p.Advance(1, 5)
	ok(t, p.Flush(1))
	if p.Volume(1) != nil || p.Volume(2) != nil || p.Volume(3) != nil {
		t.Fatal("something is left of the volume and its snapshots")
	}
	ok(t, check(p))
}
