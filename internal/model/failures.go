// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// A failure is one thing that is lost for good, and what can't happen then.
type failure struct {
	name   string
	strike func(w *world, c *bounds)
	// hears says whether what the other array sends comes to a side; asks whether a side
	// reaches the witness.
	hears, asks [2]bool
}

var (
	neither = [2]bool{}
	onlyA   = [2]bool{true, false}
	onlyB   = [2]bool{false, true}
	each    = [2]bool{true, true}
)

// failures are all that one failure can be.
var failures = []failure{
	{"A dies", dies(array.SideA), neither, onlyB},
	{"B dies", dies(array.SideB), neither, onlyA},
	{"the links are cut", nothing, neither, each},
	{"the links lose what A sends", nothing, onlyA, each},
	{"the links lose what B sends", nothing, onlyB, each},
	{"A is cut off", witnessLost(0), neither, onlyB},
	{"B is cut off", witnessLost(1), neither, onlyA},
	{"the witness dies", witnessLost(0, 1), each, neither},
	{"A loses the witness", witnessLost(0), each, onlyB},
	{"B loses the witness", witnessLost(1), each, onlyA},
}

func nothing(*world, *bounds) {}

func dies(i array.Side) func(*world, *bounds) {
	return func(w *world, c *bounds) { named(crashes).do(w, i, c) }
}

func witnessLost(sides ...array.Side) func(*world, *bounds) {
	return func(w *world, _ *bounds) {
		for _, i := range sides {
			w.run(i, (*arb.Machine).WitnessLost)
		}
	}
}

// The names of steps that a failure bears on.
const (
	crashes     = "crashes"
	findsSilent = "finds the other silent"
	losesLease  = "loses its lease"
	grants      = "grants a lease"
	timePasses  = "lets time pass"
)

// between need the links, both ways; heard need what the other array sends; asked need the
// way to the witness. No other step of a fair run needs anything.
var (
	between = []string{grants, "takes the other back in", "reconciles"}
	heard   = []string{"hears the other's state", "is asked for its vote", "gets an answer", "journals the other's write"}
	asked   = []string{"swaps at the witness and hears so", "reads the witness"}
	inside  = []string{timePasses, "sees its grants ended", "journals its write"}
)

func named(name string) step {
	all := allSteps()
	return all[slices.IndexFunc(all, func(s step) bool { return s.name == name })]
}

// moves are the steps that can happen after a failure, by side, but no other failure.
func (f failure) moves() (out [2][]step) {
	for i := range out {
		for _, s := range allSteps() {
			apart := f.hears != each
			switch {
			case slices.Contains(inside, s.name),
				apart && (s.name == findsSilent || s.name == losesLease),
				!apart && slices.Contains(between, s.name),
				f.hears[i] && slices.Contains(heard, s.name),
				f.asks[i] && slices.Contains(asked, s.name):
				out[i] = append(out[i], s)
			}
		}
	}
	return out
}

// rounds is how often everything that can happen does, until a side must serve.
const rounds = 40

// goesOn lets everything happen that can, again and again, and reports whether a side serves
// in the end, whichever side is quicker.
func (f failure) goesOn(w world, c *bounds, first array.Side) bool {
	moves := f.moves()
	for range rounds {
		for _, i := range [2]array.Side{first, first.Other()} {
			for _, s := range moves[i] {
				s.do(&w, i, c)
			}
		}
	}
	return w.canServe(0) || w.canServe(1)
}

// healthy returns worlds without a failure, breadth first from those in which a pair is in
// sync, with the witness armed.
func healthy(c *bounds, most int) []world {
	armed := arb.Record{ID: 1, Seq: 1, Epoch: 1, Members: array.Both, Opener: array.SideA, Rule: arb.Majority, Incarnation: 1}
	var worlds []world
	for _, p := range [][2]array.Members{{}, {array.OnlyB, array.OnlyB}, {array.OnlyB, 0}, {0, array.OnlyB}} {
		worlds = append(worlds, preferring(c, armed, p))
	}
	seed, seen := maphash.MakeSeed(), map[uint64]bool{}
	// Nothing takes longer than the timers by which an array takes the other for lost: that
	// would be a failure by itself.
	late := func(s step) bool { return s.name == timePasses || s.name == "sees its grants ended" }
	again := step{"tries again", func(w *world, i array.Side, _ *bounds) bool {
		w.run(i, (*arb.Machine).Retry)
		return true
	}}
	well := failure{hears: each, asks: each}.moves()
	for i := range well {
		well[i] = append(slices.DeleteFunc(well[i], late), again, named("places a write"), named("swaps at the witness"))
	}
	for n := 0; n < len(worlds) && len(worlds) < most; n++ {
		for i := range array.Side(2) {
			for _, s := range well[i] {
				w := worlds[n]
				if !s.do(&w, i, c) {
					continue
				}
				if h := maphash.Comparable(seed, w); !seen[h] {
					seen[h] = true
					worlds = append(worlds, w)
				}
			}
		}
	}
	return worlds
}

// SingleFailures lets each failure happen in each of so many worlds without one, then a few
// steps in any order, and then all that can: a side must serve. It returns how often that
// was tried, and how one of them ends in which no side does.
func SingleFailures(worlds int, config func(*arb.Config)) (tried int, bad string) {
	c := &bounds{set: config}
	rng := rand.New(rand.NewPCG(1, 1))
	for n, start := range healthy(c, worlds) {
		for _, f := range failures {
			moves := f.moves()
			for first := range array.Side(2) {
				w := start
				w.left.silences, w.left.crashes = 255, 1
				f.strike(&w, c)
				var trail []string
				for range rng.IntN(12) {
					i := array.Side(rng.IntN(2))
					if s := moves[i][rng.IntN(len(moves[i]))]; s.do(&w, i, c) {
						trail = append(trail, fmt.Sprintf("%v %s", i, s.name))
					}
				}
				if tried++; !f.goesOn(w, c, first) {
					return tried, fmt.Sprintf("world %d: %s, then %q: no side serves; %q", n, f.name, trail, w.describe())
				}
			}
		}
	}
	return tried, ""
}
