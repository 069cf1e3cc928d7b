// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestOwnersMove: both arrays serve while the owner moves again and again.
func TestOwnersMove(t *testing.T) {
	n := uint64(*runs)
	if testing.Short() {
		n = min(n, 2)
	}
	for seed := uint64(2); seed <= 2*n; seed += 2 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed, sound)
				defer w.end()
				w.run(2 * time.Second)
				for range 200 {
					w.each(func(p *process) { go func() { _ = p.g.Switchover() }() })
					w.run(time.Duration(1+w.rng.IntN(40)) * step)
				}
				w.settle()
			})
		})
	}
}
