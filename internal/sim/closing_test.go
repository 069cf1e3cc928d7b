// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

// heldVolume answers no read before it is let.
type heldVolume struct {
	*volume.Volume
	let chan struct{}
}

func (v heldVolume) Read(b []byte, off int64) error {
	<-v.let
	return v.Volume.Read(b, off)
}

// TestModifyingWhileClosing: every read-modify-write that is reading when its group is
// closed is answered once.
func TestModifyingWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newQuiet(t, 5*time.Millisecond)
		defer w.end()
		const id = array.VolumeID(77)
		let := make(chan struct{})
		w.each(func(p *process) {
			_, err := p.pool.Create(volume.VolumeSpec{ID: id, Group: groupID, Size: size})
			w.must(err)
			u, err := p.g.AddVolume(scsi.Identity{WWN: array.MakeWWN(id), Volume: id, Name: "held"}, heldVolume{p.pool.Volume(id), let}, 0)
			w.must(err)
			p.units = append(p.units, u)
		})
		own, _ := w.owner()
		const all = 16
		out := make(chan error, 2*all)
		for k := range all {
			data, _ := own.buffers.Get(blockSize)
			compare, _ := own.buffers.Get(blockSize)
			own.units[volumes].Mutate(
				&scsi.Op{ID: 1<<50 + uint64(k), Arrived: time.Now()},
				scsi.Mutation{Kind: scsi.CompareAndWrite, Offset: int64(k) * blockSize, Length: blockSize, Data: data, Compare: compare},
				func(err error) { data.Release(); compare.Release(); out <- err })
		}
		synctest.Wait()
		go own.g.Close()
		synctest.Wait()
		close(let)
		synctest.Wait()
		if len(out) != all {
			t.Errorf("%d answers to %d commands", len(out), all)
		}
	})
}

// TestSwitchoverWhileClosing: one whose entry never left is not said to be done.
func TestSwitchoverWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newQuiet(t, 5*time.Millisecond)
		defer w.end()
		own, _ := w.owner()
		w.net.cut = [2]bool{true, true}
		out := make(chan error, 1)
		go func() { out <- own.g.Switchover() }()
		w.run(4 * step)
		own.g.Close()
		synctest.Wait()
		if err := <-out; err == nil {
			t.Error("it is said to be done")
		}
	})
}

// TestGrowingWhileClosing: nobody is told that a change was not made which the other array
// may carry out.
func TestGrowingWhileClosing(t *testing.T) {
	defer func() { slowDisk.Store(0) }()
	synctest.Test(t, func(t *testing.T) {
		w := newQuiet(t, time.Millisecond)
		defer w.end()
		own, other := w.owner()
		slowDisk.Store(int32(own.m.side) + 1)
		w.flushTakes = 5 * time.Second
		out := make(chan error, 1)
		go func() { out <- own.g.Grow(1, 2*size) }()
		w.run(6 * step)
		own.g.Close()
		synctest.Wait()
		err := <-out
		w.kill(own.m, true)
		w.run(10 * time.Second)
		if now := other.pool.Volume(1).Spec().Size; now != 2*size || array.KindOf(err) != array.Unknown {
			t.Errorf("the volume has %d bytes on the other array, and the answer was: %v", now, err)
		}
	})
}
