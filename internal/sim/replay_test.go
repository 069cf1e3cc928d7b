// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// legend explains a trace.
const legend = `seconds since the start. A and B are the arrays, "A: text" is an event that A told.
The lines in between are faults, as they happened, and what was made good in the end.
Commands are of the block that shows it: host, array, number of the write that was sent, and
what became of it; a block holds the number of its last write all over.`

// play plays a seed at the usual pace.
func play(t *testing.T, seed uint64, broken mutant) (sum uint64, trace string) {
	w := playAt(t, seed, broken, usual)
	return w.sum, w.told()
}

// playAt plays a seed and returns the world as it was at the end. Of a sound one that fails
// it finds out which faults it takes, and tells how to see it again.
func playAt(t *testing.T, seed uint64, broken mutant, p pace) *world {
	t.Helper()
	without := map[int]bool{}
	for _, n := range strings.FieldsFunc(*leftOut, func(r rune) bool { return r == ',' }) {
		k, err := strconv.Atoi(n)
		if err != nil {
			t.Fatalf("-sim.without %q: want numbers of faults, separated by commas", *leftOut)
		}
		without[k] = true
	}
	w, what := attempt(t, seed, broken, p, without)
	switch {
	case what == "":
		return w
	case broken != sound:
		panic(found(what))
	}
	t.Fatal(report(t, w, what, without))
	return nil
}

// report tells of a failed run what a person needs: how to play it again, the fewest faults
// that it takes, and what happened then.
func report(t *testing.T, w *world, what string, without map[int]bool) string {
	replay := replayOf(w.seed, w.pace, without)
	w, what, without = least(w, what, without, func(without map[int]bool) (*world, string) {
		return attempt(t, w.seed, w.mutant, w.pace, without)
	})
	return fmt.Sprintf("replay with: %s\nwith the fewest faults: %s\n%s\n\n%s\n\nwhat the lines mean: %s",
		replay, replayOf(w.seed, w.pace, without), what, w.short(), legend)
}

func replayOf(seed uint64, p pace, without map[int]bool) string {
	s := fmt.Sprintf("go test ./internal/sim -run 'TestSim$' -sim.seed=%d -sim.faults=%d", seed, *manyFaults)
	if p == brisk {
		s += " -sim.brisk"
	}
	var list []string
	for n := range *manyFaults {
		if without[n] {
			list = append(list, strconv.Itoa(n))
		}
	}
	if len(list) > 0 {
		s += " -sim.without=" + strings.Join(list, ",")
	}
	return s + " -v"
}

// least leaves out one fault after the other, for good if it fails all the same.
func least(w *world, what string, without map[int]bool, again func(map[int]bool) (*world, string)) (*world, string, map[int]bool) {
	for n := range *manyFaults {
		if without[n] {
			continue
		}
		without[n] = true
		if w2, what2 := again(without); what2 != "" {
			w, what = w2, what2
		} else {
			delete(without, n)
		}
	}
	return w, what, without
}

// attempt plays a seed and returns what it showed that must never be.
func attempt(t *testing.T, seed uint64, broken mutant, p pace, without map[int]bool) (w *world, what string) {
	synctest.Test(t, func(t *testing.T) {
		w = makeWorld(t, seed, broken, 256<<10, 0)
		w.pace, w.catch, w.without = p, true, without
		if w.rng.IntN(3) == 0 { // of a release before
			w.m[0].former, w.m[1].former = true, true
		}
		w.begins()
		defer w.end()
		defer func() {
			switch why := recover().(type) {
			case nil:
			case found:
				what = string(why)
			default:
				panic(why)
			}
		}()
		w.run(p.start)
		for n := range *manyFaults {
			w.happen(n)
		}
		w.settle()
	})
	return w, what
}

// shortTrace bounds a trace that people are to read.
const shortTrace = 120

// short is the trace, and what was said of the block that shows what must never be.
func (w *world) short() string {
	w.mu.Lock()
	lines := slices.Clone(w.trace)
	w.mu.Unlock()
	if n := len(lines); n > shortTrace {
		lines = slices.Concat(lines[:shortTrace/4], []string{fmt.Sprintf("           (%d lines more)", n-shortTrace)}, lines[n-shortTrace*3/4:])
	}
	if l := w.about; l != nil {
		lines = append(lines, "", fmt.Sprintf("commands of volume %d block %d:", l.v, l.b))
		for _, s := range l.told {
			lines = append(lines, s.String())
		}
	}
	return strings.Join(lines, "\n")
}

// saying is what is known of an attempt of a command.
type saying struct {
	at   time.Duration
	host int
	side array.Side
	life int
	n    uint64 // the write; 0: a read
	what string
	err  error
}

// maxSayings bounds what is kept of a block.
const maxSayings = 40

// String returns a line of a trace.
func (s saying) String() string {
	what := "read"
	if s.n != 0 {
		what = fmt.Sprintf("write %d", s.n)
	}
	line := fmt.Sprintf("%9.3f  host %d at %v (life %d): %s %s", s.at.Seconds(), s.host, s.side, s.life, what, s.what)
	if s.err != nil {
		line += ": " + s.err.Error()
	}
	return line
}

// say notes what becomes of an attempt.
func (c *client) say(t *try, what string, err ...error) {
	cmd := c.cmd
	l := c.w.ledger(cmd.v, cmd.b)
	if len(l.told) == maxSayings {
		l.told = slices.Delete(l.told, 0, maxSayings/2)
	}
	s := saying{at: time.Since(c.w.start), host: c.id, side: t.p.m.side, life: t.p.life, n: cmd.n, what: what}
	if len(err) > 0 {
		s.err = err[0]
	}
	l.told = append(l.told, s)
}
