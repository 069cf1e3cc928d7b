// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/vfs"
)

// step is how long the world waits between two looks at what is due.
const step = 5 * time.Millisecond

// world is a pair, its witness and its hosts under one seed.
type world struct {
	seed  uint64
	keeps int64 // bytes of what hosts read
	// catch: a run that fails panics, for whoever plays it.
	catch bool
	fell  atomic.Pointer[string]
	// about is the block of which something was read that must not be.
	about *ledger
	// patience is how long a host waits for an answer before it drops the session.
	patience time.Duration
	// rotten is the machine whose pages were damaged, turned whether disks were put back:
	// of both in one run nothing is left.
	rotten *machine
	turned bool
	// without are the faults that are left out, by number; count is how many of a kind
	// happened.
	without map[int]bool
	count   map[string]int
	t       *testing.T
	mutant
	// shared: both arrays serve.
	shared bool
	pace   pace
	// sharing counts when one was seen to share, answers what it answered then.
	sharing int
	answers [2]int
	rng     *rand.Rand
	start   time.Time
	mu      sync.Mutex
	m       [2]*machine
	net     wire
	wit     witness
	due     []timer
	hosts   []*client
	late    int // volumes that were admitted meanwhile
	nth     int
	trace   []string
	sum     uint64
	// flushTakes is how long a flush of the slow disk takes, if there is one.
	flushTakes time.Duration
	// loseAfterCopy: once the pages of a copy have ended, no record arrives.
	loseAfterCopy, copied atomic.Bool
	// loseMends: no array answers for pages that are damaged on the other.
	loseMends atomic.Bool
	// period, if set, makes the group periodic.
	period time.Duration
	// spy sees what is sent.
	spy atomic.Pointer[func(group.Packet)]
	// loseGroups: the arrays exchange leases, and nothing of the group.
	loseGroups atomic.Bool
}

// pace is how long a run takes its time.
type pace struct {
	// start is before the first fault, between at most until the next, silence how long
	// hosts say nothing in half of the runs, back how long they are served when all is
	// good, quiet how long before the copies are compared.
	start, between, silence, back, quiet time.Duration
	// answers is how many each array gives at least where both serve.
	answers int
	// operations are how many hosts have answered at least.
	operations uint64
}

var (
	usual = pace{start: 4 * time.Second, between: 3 * time.Second, silence: 10 * time.Second, back: 2 * time.Second, quiet: 8 * time.Second, answers: 50}
	// brisk leaves out the time in which little happens: many more runs can be had.
	brisk = pace{start: time.Second, between: 1500 * time.Millisecond, silence: 2 * time.Second, back: time.Second, quiet: time.Second, answers: 5, operations: 200}
)

// timer is something that happens to a process later, unless it is dead by then.
type timer struct {
	at time.Time
	n  int
	p  *process
	do func()
}

func newWorld(t *testing.T, seed uint64, broken mutant) *world {
	return newWorldOf(t, seed, broken, 256<<10, 0)
}

// newWorldOf makes a world with so many bytes of blocks that were read lately in memory,
// whose group is periodic if it has a period.
func newWorldOf(t *testing.T, seed uint64, broken mutant, keep int64, period time.Duration) *world {
	w := makeWorld(t, seed, broken, keep, period)
	w.begins()
	return w
}

// makeWorld makes one whose arrays have not begun.
func makeWorld(t *testing.T, seed uint64, broken mutant, keep int64, period time.Duration) *world {
	w := &world{t: t, pace: usual, mutant: broken, keeps: keep, period: period, flushTakes: 60 * time.Millisecond, rng: rand.New(rand.NewPCG(seed, 7)), start: time.Now()}
	w.count = map[string]int{}
	w.seed, w.shared, w.patience = seed, seed%2 == 0, patience
	w.net.delay = time.Duration(w.rng.IntN(20000)) * time.Microsecond
	w.wit = witness{up: true, reach: [2]bool{true, true}, inc: 1, delay: time.Duration(1+w.rng.IntN(40)) * time.Millisecond}
	for s := range array.Side(2) {
		dir := t.TempDir()
		w.m[s] = &machine{side: s, fs: vfs.NewMem(), dir: dir, maps: filepath.Join(dir, "map"), facts: map[string][]byte{}}
		if broken == noSync {
			w.m[s].fs.IgnoreSync()
		}
		w.m[s].clock.Store(&clock{set: w.start, shown: int64(time.Hour), rate: 1})
		if broken == fast {
			w.m[s].runs(0.6 + 0.8*float64(s))
		}
		w.must(w.m[s].fs.MkdirAll("journal"))
		w.must(w.m[s].fs.MkdirAll("pool"))
	}
	for i := range clients {
		w.hosts = append(w.hosts, newClient(w, i))
	}
	return w
}

// begins starts the arrays for the first time.
func (w *world) begins() {
	for _, m := range w.m {
		w.boot(m)
	}
}

// newQuiet returns a world in sync whose hosts are silent. What they read comes from the
// disks.
func newQuiet(t *testing.T, delay time.Duration) *world {
	w := newWorldOf(t, 1, sound, 0, 0)
	w.net.delay = delay
	w.stop(true)
	w.run(3 * time.Second)
	return w
}

func (w *world) must(err error) {
	if err != nil {
		w.failf("%v", err)
	}
}

// found is what a run ends with that showed what must never be.
type found string

func (w *world) failf(format string, args ...any) {
	w.t.Helper()
	if w.catch || w.mutant != sound {
		panic(found(fmt.Sprintf(format, args...)))
	}
	w.t.Fatalf(format+"\n%s", append(args, w.told())...)
}

// fellf is failf for goroutines other than the one that lets time pass, which heeds it.
func (w *world) fellf(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	w.fell.CompareAndSwap(nil, &what)
}

// told returns the end of the trace.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.trace[max(0, len(w.trace)-200):], "\n")
}

func (w *world) tracef(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf("%9.3f  ", time.Since(w.start).Seconds()) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprint(h, w.sum, line)
	w.sum = h.Sum64()
	if w.trace = append(w.trace, line); len(w.trace) > 4000 {
		w.trace = append(w.trace[:0], w.trace[2000:]...)
	}
}

func (w *world) after(d time.Duration, p *process, do func()) {
	w.nth++
	w.due = append(w.due, timer{time.Now().Add(d), w.nth, p, do})
}

func (w *world) each(f func(*process)) {
	for _, m := range w.m {
		if m.p != nil {
			f(m.p)
		}
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(step)
		synctest.Wait()
		if what := w.fell.Load(); what != nil {
			w.failf("%s", *what)
		}
		w.timers()
		w.connect()
		w.deliver()
		synctest.Wait()
		n := int(time.Since(w.start) / step)
		w.each(func(p *process) {
			if p.starving() {
				return
			}
			if n%int(beat/step) == 0 {
				p.leases()
			}
			p.ask()
		})
		for _, c := range w.hosts {
			c.step()
			synctest.Wait() // what two hosts send at once is taken in their order
		}
		if n%4 == 0 {
			w.check()
		}
	}
}

func (w *world) timers() {
	sort.Slice(w.due, func(i, j int) bool {
		a, b := w.due[i], w.due[j]
		return a.at.Before(b.at) || a.at.Equal(b.at) && a.n < b.n
	})
	for len(w.due) > 0 && !w.due[0].at.After(time.Now()) {
		x := w.due[0]
		w.due = w.due[1:]
		if !x.p.dead.Load() {
			x.do()
		}
	}
}

// check looks for what must never be: both serving, or a commit that one journal lacks.
func (w *world) check() {
	w.checkCommit()
	var serve []string
	shares := 0
	w.each(func(p *process) {
		if p.still() {
			return // it does nothing now
		}
		i, err := p.g.Info()
		w.must(err)
		if i.Sharing {
			shares++
		}
		if i.Serving {
			serve = append(serve, fmt.Sprintf("%v in epoch %d by %v", p.m.side, i.View.Epoch, i.Record))
		}
	})
	if len(serve) > 1 || shares > 1 {
		w.failf("both serve: %v; %d share", serve, shares)
	}
	w.sharing += shares
}

// checkCommit: what members by one record count as committed is durable in the journal of
// every one that may go on alone by it. One that was taken back a moment ago may still be
// filled, and may not.
func (w *world) checkCommit() {
	if w.turned || w.m[0].p == nil || w.m[1].p == nil {
		return
	}
	var views [2]group.Info
	for k, m := range w.m {
		i, err := m.p.g.Info()
		w.must(err)
		if i.View.Role != arb.Paired || i.Period.Period != 0 {
			return
		}
		views[k] = i
	}
	r := views[0].Record
	if views[1].Record.ID != r.ID {
		return
	}
	for k, m := range w.m {
		_, last, ok := m.p.jnl.Bounds(groupID)
		if other := views[1-k]; ok && other.Commit > last.Place && (r.Rule == arb.Majority || r.DecidedBy(m.side)) {
			w.failf("%v counts places up to %d as committed, but the journal of %v ends at %d", other.Self, other.Commit, m.side, last.Place)
		}
	}
}

// whole reports whether both arrays are up, in sync, and one serves.
func (w *world) whole() (bool, string) {
	serving, synced := 0, 0
	var text []string
	w.each(func(p *process) {
		i, err := p.g.Info()
		w.must(err)
		if i.Serving {
			serving++
		}
		if i.Synced {
			synced++
		}
		text = append(text, fmt.Sprintf("%v: record %v, role %v, %s, owner %v, end %v, commit %d, applied %d, other %d, met %v, ready %v, switching %v, copy %s",
			p.m.side, i.Record, i.View.Role, i.Reason, i.Owner, i.End, i.Commit, i.Applied, i.Peer, i.Met, i.Ready, i.Switching, i.Copy))
	})
	return serving == 1 && synced == 2, strings.Join(text, "\n")
}

// settle makes good what is broken, waits until the pair is whole and quiet, and
// compares the copies with each other and with what was acknowledged.
//
// In half of the runs no host has anything to say meanwhile: nothing may need a write to
// come about.
func (w *world) settle() {
	if quiet := w.rng.IntN(2) == 0; quiet {
		w.tracef("the hosts fall silent")
		w.stop(true)
		w.run(w.pace.silence)
	}
	w.tracef("all is made good")
	w.patience, w.net.cut, w.net.slowUntil = patience, [2]bool{}, time.Time{}
	w.each(func(p *process) {
		p.slowUntil.Store(0)
		p.stopped.Store(0)
	})
	w.run(2 * step) // who was stopped goes on
	w.wit.reach = [2]bool{true, true}
	if !w.wit.up {
		w.wit.up = true
		w.wit.inc++
	}
	for _, m := range w.m {
		if m.refuses.Load() || m.limit != 0 || m.former {
			w.kill(m, true)
		}
		m.limit, m.former = 0, false
		if m.p == nil {
			w.boot(m)
		}
	}
	end := time.Now().Add(60 * time.Second)
	for {
		w.run(200 * time.Millisecond)
		ok, text := w.whole()
		w.each(func(p *process) { // what still troubles one may part them again
			ok = ok && !p.starving() && !time.Now().Before(p.stuckUntil)
		})
		if ok {
			break
		}
		if time.Until(end) < 30*time.Second {
			w.force()
			if w.rotten != nil && w.said("which no array can read") > 0 {
				// Two failures: what a disk lost while the other array was out waits for somebody to
				// overwrite it (TestACopyWaitsAtALostPage), and these hosts write to a part of a page.
				w.tracef("a page is lost")
				w.stop(true)
				return
			}
		}
		if time.Now().After(end) {
			w.failf("not whole again after a minute:\n%s", text)
		}
	}
	w.readable()
	w.stop(false)
	before := w.acknowledged()
	w.run(w.pace.back)
	for end := time.Now().Add(10 * time.Second); w.acknowledged() < w.pace.operations && time.Now().Before(end); {
		w.run(100 * time.Millisecond)
	}
	if w.acknowledged() == before {
		w.failf("whole again, but no host is answered")
	}
	w.stop(true)
	w.run(w.pace.quiet)
	w.mend()
	w.compare()
	if w.shared && (w.sharing == 0 || w.answers[0] < w.pace.answers || w.answers[1] < w.pace.answers) {
		w.failf("hosts had %v answers of the two arrays, which shared %d times", w.answers, w.sharing)
	}
	w.each(func(p *process) {
		// What a host and the wire held is back; the group keeps what is not on pages.
		if used := p.buffers.Used(); used > p.buffers.Limit()/2 {
			w.failf("%v keeps %d bytes of buffers though no host waits", p.m.side, used)
		}
	})
}

// stop lets the hosts begin nothing more, or go on.
func (w *world) stop(on bool) {
	for _, c := range w.hosts {
		c.stopping = on
	}
}

// readable reads everything through the array that serves, as one that is not in a hurry.
func (w *world) readable() {
	for v := range volumes {
		for try, last := 0, time.Now().Add(15*time.Second); ; try++ {
			own, _ := w.owner()
			if time.Now().After(last) {
				w.failf("volume %d can't be read", v)
			}
			if own == nil {
				w.run(50 * time.Millisecond)
				continue
			}
			out := make(chan error, 1)
			op := &scsi.Op{ID: 1<<50 + uint64(try), Arrived: time.Now(), Generation: own.units[v].Reservations().Revision}
			own.units[v].Read(op, 0, make([]byte, size), func(err error) { out <- err })
			for end := time.Now().Add(3 * time.Second); len(out) == 0 && time.Now().Before(end); {
				w.run(50 * time.Millisecond)
			}
			select {
			case err := <-out:
				if err == nil {
					break
				}
				w.tracef("reading volume %d: %v", v, err)
				continue
			default:
				w.failf("a read of volume %d is not answered", v)
			}
			break
		}
	}
}

// force is what a person has to do when an array's disks were put back and the witness
// started anew before that was decided: neither may vote, for both have forgotten.
func (w *world) force() {
	w.each(func(p *process) {
		i, err := p.g.Info()
		w.must(err)
		if i.Inputs.PeerBehind && i.View.Role == arb.Held {
			w.tracef("a person forces %v", p.m.side)
			w.must(p.g.Force(false))
		}
	})
}

func (w *world) acknowledged() (n uint64) {
	for _, c := range w.hosts {
		n += c.acked
	}
	return n
}

// compare reads both copies from their disks.
func (w *world) compare() {
	for v := range volumes {
		var copies [2][]byte
		for s, m := range w.m {
			copies[s] = make([]byte, size)
			w.must(m.p.pool.Volume(array.VolumeID(v+1)).Read(copies[s], 0))
		}
		for b := range blocks {
			off := blockOffset(b)
			for s := range w.m {
				w.ledger(v, b).judge(w, fmt.Sprintf("copy of %v, volume %d block %d", array.Side(s), v, b), copies[s][off:off+blockSize], w.ledger(v, b).floor)
			}
		}
		for n := 0; n < size; n += block.Page {
			if string(copies[0][n:n+block.Page]) != string(copies[1][n:n+block.Page]) {
				w.failf("volume %d differs in page %d", v, n/block.Page)
			}
		}
	}
}
