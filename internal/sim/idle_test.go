// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestAnIdlePairGetsInSync: no write has to come along to bring the arrays together,
// whatever is still on its way to a disk when they lose each other and meet again, and
// however often they greet at the same moment.
func TestAnIdlePairGetsInSync(t *testing.T) {
	defer func() { slowDisk.Store(0) }()
	for seed := uint64(1); seed <= 60 && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed, sound)
			defer w.end()
			for _, c := range w.hosts {
				c.stopping = true
			}
			slowDisk.Store(int32(w.rng.IntN(3))) // none, or one's
			w.flushTakes *= time.Duration(1 + w.rng.IntN(8))
			w.net.delay = w.net.delay / 8 * time.Duration(w.rng.IntN(9))
			for range 1 + w.rng.IntN(8) {
				w.run(time.Duration(1+w.rng.IntN(40)) * step)
				w.mu.Lock()
				w.net.broke(0)
				w.mu.Unlock()
				w.each(func(p *process) { p.g.Lost() })
			}
			w.run(20 * time.Second)
			if ok, why := w.whole(); !ok {
				t.Errorf("seed %d: %s\n%s", seed, why, w.told())
			}
		})
	}
}
