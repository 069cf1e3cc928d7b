// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// TestOwnerKilled kills the serving array when the other one holds records that it
// could never commit: what it sends arrives, the acknowledgements don't. All of them
// may have been acknowledged, for all that anybody left knows.
func TestOwnerKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newSmall(t, 1, "64m").work(1, seed)
	for _, c := range []struct {
		name string
		then func(w *work, owner int)
	}{
		{"it restarts at once, in the same epoch", func(w *work, owner int) {
			// Without the witness neither can go on before they have met.
			w.must(w.CutWitness(rig.A))
			w.must(w.CutWitness(rig.B))
			before := w.Record(w.t.Context(), 1-owner, group)
			w.killBehind(rng, owner)
			w.start(owner)
			w.goesOn()
			if after := w.Record(w.t.Context(), owner, group); after != before {
				w.t.Errorf("the record was %s and is %s", before, after)
			}
			w.must(w.HealWitness(rig.A))
			w.must(w.HealWitness(rig.B))
		}},
		{"the other takes over", func(w *work, owner int) {
			w.killBehind(rng, owner)
			w.alone(1 - owner)
			w.goesOn()
			w.start(owner)
		}},
		{"both lose power, the other returns", func(w *work, owner int) {
			w.killBehind(rng, owner)
			w.must(w.Array(1 - owner).Kill())
			w.start(1 - owner)
			w.alone(1 - owner)
			w.goesOn()
			w.start(owner)
		}},
		{"both lose power, the owner returns", func(w *work, owner int) {
			w.killBehind(rng, owner)
			w.must(w.Array(1 - owner).Kill())
			w.start(owner)
			w.alone(owner)
			w.goesOn()
			w.start(1 - owner)
		}},
	} {
		owner, err := w.Serving(t.Context(), group)
		w.must(err)
		t.Logf("%s serves and is killed: %s", rig.Name(owner), c.name)
		c.then(w, owner)
		w.judge(c.name, true)
	}
	w.load.Stop()
}

// killBehind loses what the other array says on the links, and kills the owner while
// it waits for it.
func (w *work) killBehind(rng *rand.Rand, owner int) {
	w.t.Helper()
	delay := 20*time.Millisecond + time.Duration(rng.Int64N(int64(400*time.Millisecond)))
	w.t.Logf("killed after %v", delay.Round(time.Microsecond))
	both := func(f func(a, b, network string, d lab.Direction) error) {
		for _, n := range []string{lab.Link1, lab.Link2} {
			w.must(f(rig.Node(1-owner), rig.Node(owner), n, lab.OneWay))
		}
	}
	both(w.Lab.Cut)
	// Every worker has a write or a read under way that stands still, or will have.
	time.Sleep(delay) // the moment is what is tried
	w.must(w.Array(owner).Kill())
	both(w.Lab.Heal)
}
