// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// meets wants the pair to be whole after a while.
func (w *world) meets(in time.Duration) {
	w.t.Helper()
	w.run(in)
	if ok, why := w.whole(); !ok {
		w.t.Error(why)
	}
}

// TestLostAndYetConnected: one half is told that the other is lost, and no word of a
// contact follows, while the arrays renew each other's leases.
func TestLostAndYetConnected(t *testing.T) {
	for _, owner := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newQuiet(t, 5*time.Millisecond)
			defer w.end()
			own, other := w.owner()
			if owner {
				other = own
			}
			other.g.Lost()
			w.meets(10 * time.Second)
		})
	}
}

// TestGreetingsWithoutAnAnswer: both halves find each other silent though the arrays talk,
// and hear of a contact at any moment between two greetings.
func TestGreetingsWithoutAnAnswer(t *testing.T) {
	for phase := range 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newQuiet(t, time.Millisecond)
			defer w.end()
			w.loseGroups.Store(true)
			w.each(func(p *process) { p.g.Contact() })
			w.run(3*time.Second + time.Duration(phase)*50*time.Millisecond)
			w.loseGroups.Store(false)
			w.each(func(p *process) { p.g.Contact() })
			w.meets(10 * time.Second)
		})
	}
}
