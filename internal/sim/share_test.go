// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/group"
)

// TestTheOwnerFollowsTheWrites: with the policy for it, a group is handed to the array
// through which its writes come, and stays there.
func TestTheOwnerFollowsTheWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, sound)
		defer w.end()
		w.net.delay = 0
		w.each(func(p *process) {
			p.g.SetPolicy(group.Policy{AutoFailover: true, WitnessStarted: true, AutoRecover: true, AutoSynchronize: true, ActiveActive: true, FollowWrites: true})
		})
		w.run(3 * time.Second)
		own, other := w.owner()
		for _, c := range w.hosts {
			c.stays, c.at = true, other.m.side
		}
		w.run(100 * time.Second)
		if now, _ := w.owner(); now != own {
			t.Fatal("the owner moved before its time")
		}
		w.run(time.Minute)
		if now, _ := w.owner(); now != other {
			t.Fatal("the owner did not follow the writes")
		}
		w.run(time.Minute)
		if now, _ := w.owner(); now != other {
			t.Error("the owner did not stay")
		}
		w.settle()
	})
}

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
