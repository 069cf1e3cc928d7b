// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// TestAFullPoolTellsOfNoRoom: whoever waits for room in a full pool is not told of any by an
// attempt that failed: it would ask again at once, and be the reason for the next attempt.
func TestAFullPoolTellsOfNoRoom(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limit, o.Grow, o.Age = 4*block.Page, block.Page, time.Hour
	var told atomic.Int64
	failed := make(chan int64, 1)
	o.OnRoom = func() { told.Add(1) }
	o.Alarm = func(err error) {
		if array.KindOf(err) != array.Full {
			t.Errorf("a destage fails with %v", err)
		}
		select {
		case failed <- told.Load():
		default:
		}
	}
	p, v := onePool(t, vfs.NewMem(), o, 40*block.Page)
	for n := range int64(20) {
		ok(t, v.Apply(data(array.Place(n+1), n*block.Page, page(byte(n+1)))))
	}
	if answer, err := v.Spacious(30*block.Page, block.Page); err != nil || answer != Unsure {
		t.Fatalf("there is room: %v, %v", answer, err)
	}
	if n := <-failed; n != 0 {
		t.Errorf("it was told of room %d times, and there is none", n)
	}
	_ = p.Close()
}

// TestPagesRestAfterAFailure: whoever waits asks for room again at once, as a group does that is
// told of a damaged page with each attempt (found by the simulator, with a schedule that never
// came to an end).
func TestPagesRestAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t.TempDir())
		o.Limit, o.Grow, o.Age = 4*block.Page, block.Page, time.Hour
		var of atomic.Pointer[Volume]
		var attempts atomic.Int64
		o.Alarm = func(error) {
			v := of.Load()
			if attempts.Add(1) > 1000 || v == nil {
				return
			}
			if answer, err := v.Spacious(30*block.Page, block.Page); err != nil || answer != Unsure {
				t.Errorf("there is room: %v, %v", answer, err)
			}
		}
		p, v := onePool(t, vfs.NewMem(), o, 40*block.Page)
		of.Store(v)
		for n := range int64(20) {
			ok(t, v.Apply(data(array.Place(n+1), n*block.Page, page(byte(n+1)))))
		}
		p.wake()
		time.Sleep(time.Second)
		if n := attempts.Load(); n < 5 || n > 11 {
			t.Errorf("%d attempts in a second", n)
		}
		_ = p.Close()
	})
}
