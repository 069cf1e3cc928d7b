// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// turnBack puts an array that is down on the disks that were kept, and starts it.
func (w *world) turnBack(m *machine) {
	w.must(copyFile(m.past.maps, m.maps))
	m.fs, m.facts, m.doubted, m.past, w.turned = m.past.fs, m.past.facts, true, nil, true
	w.boot(m)
}

// TestPastDiskAndPastWitness: a disk that was put back does not serve because the
// witness, which missed what came after, names this array alone.
func TestPastDiskAndPastWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		w.run(6 * time.Second)
		synctest.Wait()
		w.keep(a)
		w.run(time.Second)
		w.kill(b, true)
		w.run(4 * time.Second) // A goes on alone, with the witness
		w.wit.reach = [2]bool{}
		w.boot(b)
		w.run(8 * time.Second) // B returns; the witness does not hear of it
		w.kill(a, true)
		w.net.cut = [2]bool{true, true}
		w.run(2 * time.Second)
		w.wit.reach = [2]bool{true, false}
		w.turnBack(a)
		for range 30 {
			w.run(200 * time.Millisecond)
			i, err := a.p.g.Info()
			w.must(err)
			if i.Serving {
				t.Fatalf("A serves from the disk of the past, by %v", i.Record)
			}
		}
		w.settle()
	})
}

// TestTheChosenOfThePast: the array that was chosen to go on without the witness comes
// back with a disk of the past; the barred one, which holds all, goes on.
func TestTheChosenOfThePast(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, sound)
			defer w.end()
			a := w.m[0]
			w.wit.reach = [2]bool{}
			w.run(4 * time.Second)
			synctest.Wait()
			w.keep(a)
			w.run(3 * time.Second)
			w.kill(a, true)
			w.turnBack(a)
			if back {
				w.wit.reach = [2]bool{true, true}
			}
			w.run(30 * time.Second)
			if ok, text := w.whole(); !ok {
				t.Errorf("witness back %v: not whole:\n%s", back, text)
			}
			w.settle()
		})
	}
}
