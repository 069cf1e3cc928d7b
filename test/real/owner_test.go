// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"math/rand/v2"
	"regexp"
	"strconv"
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

// killBehind loses what the other array says on the links, and kills the owner when
// the other holds records that it can't commit.
func (w *work) killBehind(rng *rand.Rand, owner int) {
	w.t.Helper()
	both := func(f func(a, b, network string, d lab.Direction) error) {
		for _, n := range []string{lab.Link1, lab.Link2} {
			w.must(f(rig.Node(1-owner), rig.Node(owner), n, lab.OneWay))
		}
	}
	both(w.Lab.Cut)
	committed := 0
	w.until(goesOnIn, "records that the owner can't commit", func() bool {
		l := w.log(owner)
		committed = l.committed
		return l.end > l.committed
	})
	delay := time.Duration(rng.Int64N(int64(300 * time.Millisecond)))
	w.t.Logf("killed after %v more", delay.Round(time.Microsecond))
	time.Sleep(delay) // the moment is what is tried
	w.must(w.Array(owner).Kill())
	if l := w.log(1 - owner); l.end <= committed {
		w.t.Fatalf("the other array holds %d records, and %d were committed: nothing is tried", l.end, committed)
	}
	both(w.Lab.Heal)
}

// ends are how far an array's log goes.
type ends struct{ end, committed int }

var logLine = regexp.MustCompile(`(?m)^log +end \d+\.\d+\.(\d+), committed (\d+),`)

// log asks an array how far its log goes.
func (p *pair) log(i int) (l ends) {
	text, err := p.Command(p.t.Context(), i, "explain", group)
	p.must(err)
	m := logLine.FindStringSubmatch(text)
	if m == nil {
		p.t.Fatalf("no line about the log in\n%s", text)
	}
	l.end, _ = strconv.Atoi(m[1])
	l.committed, _ = strconv.Atoi(m[2])
	return l
}
