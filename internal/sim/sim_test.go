// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"flag"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
)

var (
	oneSeed = flag.Uint64("sim.seed", 0, "run this seed only, with its trace")
	runs    = flag.Int("sim.runs", 12, "how many seeds to run")
	faults  = flag.Int("sim.faults", 12, "how many faults a run has")
	briskly = flag.Bool("sim.brisk", false, "with -sim.seed: at the pace of TestSchedules")
	many    = flag.Int("sim.schedules", 20, "how many brisk runs TestSchedules makes")
	first   = flag.Uint64("sim.first", 1, "the first seed of them")
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
	least, operations := uint64(math.MaxUint64), uint64(0)
	for i := range n {
		seed := *first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			n := playAt(t, seed, sound, brisk).acknowledged()
			least, operations = min(least, n), operations+n
		})
		if (i+1)%1000 == 0 {
			t.Logf("schedules: %d, operations: %d, least: %d", i+1, operations, least)
		}
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
)

// TestMutantsAreCaught makes sure that the simulator can fail.
func TestMutantsAreCaught(t *testing.T) {
	mutants := map[mutant]string{noSync: "no sync", heldEarly: "held early", noWait: "no wait", noFlights: "no wait for what is in flight"}
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

func playMutant(t *testing.T, seed uint64, m mutant) (what string, caught bool) {
	defer func() {
		if r := recover(); r != nil {
			what, caught = fmt.Sprint(r), true
		}
	}()
	play(t, seed, m)
	return "", false
}

func play(t *testing.T, seed uint64, broken mutant) (sum uint64, trace string) {
	w := playAt(t, seed, broken, usual)
	return w.sum, w.told()
}

// playAt plays a seed and returns the world as it was at the end.
func playAt(t *testing.T, seed uint64, broken mutant, p pace) (w *world) {
	t.Cleanup(func() {
		if t.Failed() && broken == sound {
			how := ""
			if p == brisk {
				how = " -sim.brisk"
			}
			t.Logf("replay with: go test ./internal/sim -run 'TestSim$' -sim.seed=%d -sim.faults=%d%s -v", seed, *faults, how)
		}
	})
	var why any
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed, broken)
		w.pace = p
		defer func() {
			if why = recover(); why != nil {
				if _, ok := why.(found); !ok {
					panic(why)
				}
			}
			w.end()
		}()
		w.run(p.start)
		for range *faults {
			w.fault()
			w.run(100*time.Millisecond + time.Duration(w.rng.Int64N(int64(p.between))))
		}
		w.settle()
	})
	if why != nil {
		panic(why)
	}
	return w
}

// fault does something bad, or makes something good.
func (w *world) fault() {
	r := w.rng
	m := w.m[r.IntN(2)]
	switch r.IntN(16) {
	case 0, 1:
		if m.p != nil {
			w.kill(m, r.IntN(2) == 0)
			return
		}
		w.boot(m)
	case 2:
		if m.p == nil {
			w.boot(m)
		}
	case 3:
		w.net.cut = [2]bool{true, true}
		w.tracef("the links are cut")
	case 4:
		w.net.cut[m.side] = true
		w.tracef("the links lose what %v sends", m.side)
	case 5:
		w.net.cut = [2]bool{}
		w.tracef("the links heal")
	case 6:
		w.wit.up = !w.wit.up
		if w.wit.up {
			w.wit.inc++
			if r.IntN(4) == 0 {
				w.wit.version = 0
			}
		}
		w.tracef("the witness is up: %v", w.wit.up)
	case 7:
		w.wit.reach[m.side] = !w.wit.reach[m.side]
		w.tracef("%v reaches the witness: %v", m.side, w.wit.reach[m.side])
	case 8:
		if p := m.p; p != nil {
			d := time.Duration(100+r.IntN(3000)) * time.Millisecond
			p.starved = time.Now().Add(d)
			w.tracef("the clients of %v starve for %v", m.side, d)
		}
	case 14:
		if p := m.p; p != nil {
			d := time.Duration(100+r.IntN(3000)) * time.Millisecond
			p.stuckUntil = time.Now().Add(d)
			w.tracef("the journal of %v counts as stuck for %v", m.side, d)
		}
	case 15:
		m.refuses.Store(true)
		w.tracef("the store of %v refuses", m.side)
	case 9:
		w.putBack(m)
	case 11:
		w.tracef("the connection breaks")
		w.mu.Lock()
		w.net.broke(0)
		w.mu.Unlock()
		w.each(func(p *process) { p.g.Lost() })
	case 12:
		if p := m.p; p != nil { // the other one may hear of it later, or never
			prefer := []array.Members{0, array.OnlyA, array.OnlyB}[r.IntN(3)]
			w.tracef("%v hears that the group prefers %v", m.side, prefer)
			p.g.SetPolicy(w.policy(prefer))
		}
	case 13:
		w.admit()
	case 10:
		if p := m.p; p != nil {
			w.tracef("switchover is asked of %v", m.side)
			go func() { _ = p.g.Switchover() }()
		}
	}
}
