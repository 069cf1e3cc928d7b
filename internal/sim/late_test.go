// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// playLate has a host write to an array that is undecided, give up, and write twice on
// another path; it returns what is read then.
func playLate(t *testing.T, broken mutant) (last byte, took bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, broken) // both arrays serve
		defer w.end()
		w.hosts, w.net.delay = nil, 2*time.Millisecond
		w.run(4 * time.Second)
		a, b := w.m[0], w.m[1]
		w.must(w.await(w.write(a, 0, 1)))
		// Nobody can decide: the links are cut, and the witness is gone for both.
		w.wit.reach, w.net.cut = [2]bool{}, [2]bool{true, true}
		w.run(1500 * time.Millisecond)
		late := w.write(b, 0, 2)
		w.run(2200 * time.Millisecond)
		w.net.cut = [2]bool{}
		// On the other path the host writes the same, and later something new.
		for _, n := range []byte{2, 3} {
			for try := 0; w.await(w.write(a, 0, n)) != nil; try++ {
				if w.run(step); try > 1000 {
					w.failf("write %d is not carried out", n)
				}
			}
		}
		w.run(5 * time.Second)
		select {
		case err := <-late:
			took = err == nil
		default:
			w.failf("the late command is not answered")
		}
		got, err := w.read(a, 0, 1)
		w.must(err)
		last = got[100]
	})
	return last, took
}

// TestHeldTooLong: what an array could not carry out within the time that its host waits for
// sure is never carried out, whatever happened on another path meanwhile.
func TestHeldTooLong(t *testing.T) {
	if last, took := playLate(t, sound); last != 3 || took {
		t.Errorf("the block holds write %d, and the late command was carried out: %v", last, took)
	}
	if last, took := playLate(t, ageless); last == 3 && !took {
		t.Error("commands of any age are carried out, and nothing was noticed")
	} else {
		t.Logf("without a limit of age the block holds write %d", last)
	}
}
