// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// TestTheOwnersDisksFail: an array whose journal and store fail says so, and the other one
// goes on at once: neither it nor a host waits for a lease to run out, and the loser says
// that it is one, though it can't store that.
func TestTheOwnersDisksFail(t *testing.T) {
	defer func() { slowDisk.Store(0) }()
	for seed := uint64(1); seed <= 20 && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed, sound)
			defer w.end()
			w.net.delay = time.Millisecond
			w.run(3 * time.Second)
			own, other := w.owner()
			slowDisk.Store(int32(own.m.side) + 1)
			w.flushTakes = 2 * time.Second
			taken := w.write(own.m, 200, 1)
			w.run(step)
			own.m.refuses.Store(true)
			own.stuckUntil = time.Now().Add(time.Hour)
			w.run(200 * time.Millisecond)
			held := w.write(own.m, 201, 1)
			w.run(100 * time.Millisecond)
			slowDisk.Store(0)
			for _, answer := range []chan error{taken, held} {
				select {
				case err := <-answer:
					if k := array.KindOf(err); k != array.Standby && k != array.Unavailable && k != array.Unknown {
						t.Errorf("seed %d: a command of the failing array ends with %v", seed, err)
					}
				default:
					t.Errorf("seed %d: a command waits at the failing array\n%s", seed, w.told())
				}
			}
			if err := w.await(w.write(other.m, 202, 1)); err != nil {
				t.Errorf("seed %d: the other array does not go on: %v", seed, err)
			}
			w.settle()
		})
	}
}
