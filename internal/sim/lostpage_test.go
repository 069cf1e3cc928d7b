// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestACopyWaitsAtALostPage: a page is damaged on the only array that holds what was written last.
// The other one can't be made whole: that is told once, tried now and then, and goes on when
// hosts have overwritten the page. Seed 83321 of the simulator tried a hundred times a second, and told
// of each.
func TestACopyWaitsAtALostPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		w.hosts = nil
		w.run(3 * time.Second)
		own, other := w.owner()
		live, away := own.m, other.m
		w.kill(away, true)
		w.run(2 * time.Second)
		for n := range 800 { // more than the journal holds
			w.must(w.await(w.write(live, n%8, 1)))
			if n%50 == 49 {
				w.flush(live)
			}
		}
		w.afresh(live) // nothing of it is in memory, or in the journal
		w.damage(live, 1)
		w.boot(away)
		w.run(20 * time.Second)
		if n := w.said("which no array can read"); n != 1 {
			t.Errorf("a page that is lost was told of %d times", n)
		}
		if n := w.said("copying pages"); n > 2 {
			t.Errorf("%d copies were told of", n)
		}
		if ok, text := w.whole(); ok {
			t.Fatalf("whole, with a page that nobody can read:\n%s", text)
		}
		for b := range 4 {
			w.must(w.await(w.write(live, b, 2)))
		}
		w.run(10 * time.Second)
		if ok, text := w.whole(); !ok {
			t.Fatalf("not whole after the page was overwritten:\n%s", text)
		}
		w.reads(live, map[int]byte{0: 2, 1: 2, 3: 2, 4: 1, 7: 1})
	})
}

// afresh starts an array that serves alone anew.
func (w *world) afresh(m *machine) {
	w.kill(m, true)
	w.boot(m)
	w.run(3 * time.Second)
}
