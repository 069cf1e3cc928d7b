// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/rig"
)

// TestRivalVotes kills the witness just after the links are cut, before or while the
// arrays ask it for votes. Once the arrays meet again, both restarted or not, they
// need no witness to serve.
func TestRivalVotes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newSmall(t, 1, "64m").work(1, seed)
	for round, c := range []struct {
		from, to time.Duration // when the witness is killed
		restart  bool
	}{
		{0, 150 * time.Millisecond, true},
		{150 * time.Millisecond, 300 * time.Millisecond, true},
		{500 * time.Millisecond, 700 * time.Millisecond, true}, // while they vote
		{500 * time.Millisecond, 700 * time.Millisecond, false},
	} {
		delay := c.from + time.Duration(rng.Int64N(int64(c.to-c.from)))
		later := time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))
		what := fmt.Sprintf("round %d, the witness killed %v after the links were cut, the rest %v later, restart %v",
			round, delay.Round(time.Microsecond), later.Round(time.Microsecond), c.restart)
		t.Log(what)
		w.must(w.CutLinks())
		time.Sleep(delay) // the moments are what is tried
		w.must(w.Witness().Kill())
		time.Sleep(later)
		if c.restart {
			w.must(w.Array(rig.A).Kill())
			w.must(w.Array(rig.B).Kill())
		}
		w.must(w.HealLinks())
		if c.restart {
			w.start(rig.A)
			w.start(rig.B)
		}
		w.goesOn() // without any witness
		w.must(w.StartWitness())
		w.judge(what, true)
	}
	w.load.Stop()
}
