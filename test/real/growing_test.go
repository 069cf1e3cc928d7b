// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/rig"
)

// A blow is what hits the pair at a moment of a return or a switchover. What it
// returns makes good again.
type blow struct {
	name string
	hit  func(w *work) (heal func())
}

// blows are those of TestGrowing.
func blows() []blow {
	kill := func(i int) func(*work) func() {
		return func(w *work) func() {
			w.must(w.Array(i).Kill())
			return func() { w.start(i) }
		}
	}
	return []blow{
		{"the links are cut", func(w *work) func() {
			w.must(w.CutLinks())
			return func() { w.must(w.HealLinks()) }
		}},
		{"kill array-a", kill(rig.A)},
		{"kill array-b", kill(rig.B)},
	}
}

// TestGrowing hits a pair at many moments while a returned array is taken back in,
// from the journal and page by page, and while the group is switched over. Whatever
// the moment, the pair heals by itself.
func TestGrowing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, c := range []struct {
		name   string
		rounds int
		begin  func(w *work)
		// within is how long after the beginning the blow comes at the latest.
		within time.Duration
		event  string
	}{
		{"journal", 5, func(w *work) { w.lose(200) }, 600 * time.Millisecond, ""},
		{"pages", 5, func(w *work) { w.lose(3000) }, 900 * time.Millisecond, "copying pages to the other array"},
		{"switchover", 6, func(w *work) { w.beginMove() }, 60 * time.Millisecond, "switched over to the other array"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newSmall(t, 1, "64m").work(1, rng.Uint64())
			for round := range c.rounds {
				b := blows()[round%len(blows())]
				delay := time.Duration(rng.Int64N(int64(c.within)))
				what := fmt.Sprintf("round %d, %s %v after the beginning", round, b.name, delay.Round(time.Microsecond))
				t.Log(what)
				c.begin(w)
				time.Sleep(delay) // the moment is what is tried, not waited for
				heal := b.hit(w)
				w.standsOrGoesOn(round)
				heal()
				w.judge(what, round < c.rounds-1)
			}
			if c.event != "" && !strings.Contains(w.logs(), c.event) {
				t.Errorf("no array ever said %q: what was to be hit did not happen", c.event)
			}
		})
	}
}

// lose takes the array away that doesn't serve, until so many writes are not on it,
// and brings it back.
func (w *work) lose(writes uint64) {
	w.t.Helper()
	i, err := w.Serving(w.t.Context(), group)
	w.must(err)
	w.must(w.Array(1 - i).Kill())
	w.alone(i)
	from := w.load.Acknowledged()
	w.until(setUpIn, "writes that the lost array lacks", func() bool { return w.load.Acknowledged() > from+writes })
	w.start(1 - i)
}

// beginMove begins a switchover and doesn't wait for it.
func (w *work) beginMove() {
	i, err := w.Serving(w.t.Context(), group)
	w.must(err)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, _ = w.Command(w.t.Context(), i, "setrcopygroup", "switchover", group)
	}()
	<-begun
}

// standsOrGoesOn lets some time pass after a blow: in every other round until an
// array serves, if one can, else none, so that both blow and healing meet a pair
// that is not settled.
func (w *work) standsOrGoesOn(round int) {
	if round%2 == 0 {
		return
	}
	before := w.load.Acknowledged()
	end := time.Now().Add(4 * time.Second)
	for time.Now().Before(end) && w.load.Acknowledged() < before+50 {
		time.Sleep(10 * time.Millisecond)
	}
}

// logs returns what all arrays wrote.
func (p *pair) logs() (text string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Dir, "logs", "*array*.log"))
	p.must(err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		p.must(err)
		text += string(b)
	}
	return text
}
