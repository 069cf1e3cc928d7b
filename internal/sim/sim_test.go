// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
)

var (
	oneSeed    = flag.Uint64("sim.seed", 0, "run this seed only, with its trace")
	runs       = flag.Int("sim.runs", 12, "how many seeds to run")
	leftOut    = flag.String("sim.without", "", "with -sim.seed: the numbers of faults to leave out, separated by commas, from 0")
	manyFaults = flag.Int("sim.faults", 12, "how many faults a run has")
	briskly    = flag.Bool("sim.brisk", false, "with -sim.seed: at the pace of TestSchedules")
	many       = flag.Int("sim.schedules", 20, "how many brisk runs TestSchedules makes")
	first      = flag.Uint64("sim.first", 1, "the first seed of them")
)

func TestSim(t *testing.T) {
	if *oneSeed != 0 {
		p := usual
		if *briskly {
			p = brisk
		}
		w := playAt(t, *oneSeed, sound, p)
		t.Logf("%s\nsum %x", w.told(), w.sum)
		return
	}
	n := *runs
	if testing.Short() {
		n = min(n, 3)
	}
	for i := range n {
		seed := uint64(i + 1)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, seed, sound) })
	}
}

// TestSchedules makes as many brisk runs as it is told, each with a few faults, and counts
// what hosts did in them.
func TestSchedules(t *testing.T) {
	n := *many
	if testing.Short() {
		n = min(n, 3)
	}
	least, operations, kinds := uint64(math.MaxUint64), uint64(0), map[string]int{}
	for i := range n {
		seed := *first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := playAt(t, seed, sound, brisk)
			n := w.acknowledged()
			least, operations = min(least, n), operations+n
			for kind, often := range w.count {
				kinds[kind] += often
			}
		})
		if (i+1)%1000 == 0 {
			t.Logf("schedules: %d, operations: %d, least: %d", i+1, operations, least)
		}
	}
	for kind, often := range kinds {
		t.Logf("fault: %s: %d", kind, often)
	}
	t.Logf("schedules: %d, operations: %d, least: %d", n, operations, least)
}

// TestASeedDecidesTheRun plays one twice.
func TestASeedDecidesTheRun(t *testing.T) {
	first, _ := play(t, 3, sound)
	again, _ := play(t, 3, sound)
	if first != again {
		t.Errorf("seed 3 gave two different runs: %x and %x", first, again)
	}
}

// mutant is a rule that a run leaves out, to see that the simulator notices.
type mutant int

const (
	sound mutant = iota
	// noSync: the disks don't keep what they were told to.
	noSync
	// heldEarly: what was sent counts as held by the other array.
	heldEarly
	// noWait: what an array granted counts as ended at once.
	noWait
	// noFlights: reads don't wait for writes that are in flight over their range.
	noFlights
	// blurred: a point's pages are sent as they are now; mixing: the other array shows them
	// as they come.
	blurred
	mixing
	// fast: clocks run apart by far more than is promised.
	fast
	// ageless: commands never grow too old.
	ageless
)

// TestMutantsAreCaught makes sure that the simulator can fail.
func TestMutantsAreCaught(t *testing.T) {
	mutants := map[mutant]string{noSync: "no sync", heldEarly: "held early", noWait: "no wait", noFlights: "no wait for what is in flight", fast: "clocks that run apart"}
	if testing.Short() { // the others take minutes under the race detector
		mutants = map[mutant]string{noSync: "no sync"}
	}
	for m, name := range mutants {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 60; seed++ {
				if what, caught := playMutant(t, seed, m); caught {
					t.Logf("seed %d: %s", seed, what)
					return
				}
			}
			t.Error("60 runs, and nothing was noticed")
		})
	}
}

// TestAFailureIsToldShortly: of a run that fails the faults are left out that it does not
// take, and what is told has what a person needs to see it again.
func TestAFailureIsToldShortly(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		w, what := attempt(t, seed, noFlights, brisk, map[int]bool{})
		if what == "" {
			continue
		}
		told := report(t, w, what, map[int]bool{})
		t.Log(told)
		for _, want := range []string{"replay with: go test ./internal/sim ", fmt.Sprintf("-sim.seed=%d", seed), "-sim.brisk", "-sim.without=", "what the lines mean", "commands of volume", "answered"} {
			if !strings.Contains(told, want) {
				t.Errorf("it does not say %q", want)
			}
		}
		return
	}
	t.Fatal("no run failed")
}

func playMutant(t *testing.T, seed uint64, m mutant) (what string, caught bool) {
	defer func() {
		if r := recover(); r != nil {
			what, caught = fmt.Sprint(r), true
		}
	}()
	play(t, seed, m)
	return "", false
}
