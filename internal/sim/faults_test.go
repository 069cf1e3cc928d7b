// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// fault does something bad to an array or what is around it, or makes something good. What
// it draws it draws from dice of its own: a fault does the same whether the one before it was
// left out or not.
type fault struct {
	name  string
	often int
	// do reports whether there was anything to do.
	do func(w *world, m *machine, r *rand.Rand) bool
}

// faults is what may happen. The four ways in which a command could be carried out after
// its host has given it up are "stopped" (the command waits unread), "slow links" (it is
// late on its way to the owner), "impatience" (an array that is undecided holds it) and
// "sessions" (its host logs in anew).
var faults = []fault{
	{"crash", 4, func(w *world, m *machine, r *rand.Rand) bool {
		if m.p != nil {
			w.kill(m, r.IntN(2) == 0)
			return true
		}
		w.boot(m)
		return true
	}},
	{"start", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		if m.p != nil {
			return false
		}
		w.boot(m)
		return true
	}},
	{"restart storm", 2, func(w *world, m *machine, r *rand.Rand) bool {
		w.tracef("%v starts again and again", m.side)
		for range 2 + r.IntN(3) {
			w.kill(m, r.IntN(2) == 0)
			w.run(time.Duration(10+r.IntN(150)) * time.Millisecond)
			w.boot(m)
			w.run(time.Duration(10+r.IntN(400)) * time.Millisecond)
		}
		return true
	}},
	{"links cut", 2, func(w *world, _ *machine, _ *rand.Rand) bool {
		if w.net.cut == [2]bool{true, true} {
			return false
		}
		w.net.cut = [2]bool{true, true}
		w.tracef("the links are cut")
		return true
	}},
	{"one-way cut", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		if w.net.cut[m.side] {
			return false
		}
		w.net.cut[m.side] = true
		w.tracef("the links lose what %v sends", m.side)
		return true
	}},
	{"links heal", 2, func(w *world, _ *machine, _ *rand.Rand) bool {
		if w.net.cut == [2]bool{} {
			return false
		}
		w.net.cut = [2]bool{}
		w.tracef("the links heal")
		return true
	}},
	{"slow links", 2, func(w *world, _ *machine, r *rand.Rand) bool {
		if time.Now().Before(w.net.slowUntil) {
			return false
		}
		w.net.slow = time.Duration(50+r.IntN(2500)) * time.Millisecond
		w.net.slowUntil = time.Now().Add(time.Duration(200+r.IntN(3000)) * time.Millisecond)
		w.tracef("the links take %v longer for a time", w.net.slow)
		return true
	}},
	{"connection breaks", 2, func(w *world, _ *machine, _ *rand.Rand) bool {
		w.tracef("the connection breaks")
		w.mu.Lock()
		w.net.broke(0)
		w.mu.Unlock()
		w.each(func(p *process) { p.g.Lost() })
		return true
	}},
	{"witness", 2, func(w *world, _ *machine, r *rand.Rand) bool {
		w.wit.up = !w.wit.up
		if w.wit.up {
			w.wit.inc++
			if r.IntN(4) == 0 {
				w.wit.version = 0
			}
		}
		w.tracef("the witness is up: %v", w.wit.up)
		return true
	}},
	{"way to the witness", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		w.wit.reach[m.side] = !w.wit.reach[m.side]
		w.tracef("%v reaches the witness: %v", m.side, w.wit.reach[m.side])
		return true
	}},
	{"starved", 2, func(w *world, m *machine, r *rand.Rand) bool {
		p := m.p
		if p == nil {
			return false
		}
		d := time.Duration(100+r.IntN(3000)) * time.Millisecond
		p.starved = time.Now().Add(d)
		w.tracef("the clients of %v starve for %v", m.side, d)
		return true
	}},
	{"stopped", 3, func(w *world, m *machine, r *rand.Rand) bool {
		if w.anyStill() {
			return false
		}
		if own, _ := w.owner(); own != nil && r.IntN(2) == 0 {
			m = own.m
		}
		p := m.p
		if p == nil {
			return false
		}
		d := time.Duration(100+r.IntN(4500)) * time.Millisecond
		p.stopped.Store(time.Now().Add(d).UnixNano())
		w.tracef("%v is stopped for %v", m.side, d)
		return true
	}},
	{"clock drifts", 2, func(w *world, m *machine, r *rand.Rand) bool {
		rate := 1 + float64(r.IntN(19)-9)/1000 // both together stay below 1 in 50
		m.runs(rate)
		w.tracef("the clock of %v runs at %v from now on", m.side, rate)
		return true
	}},
	{"slow disk", 3, func(w *world, m *machine, r *rand.Rand) bool {
		p := m.p
		if p == nil {
			return false
		}
		flush, d := time.Duration(5+r.IntN(200))*time.Millisecond, time.Duration(200+r.IntN(3000))*time.Millisecond
		if r.IntN(3) == 0 { // one flush that hangs
			flush = d
		}
		p.flush.Store(int64(flush))
		p.slowUntil.Store(time.Now().Add(d).UnixNano())
		w.tracef("each flush of the disk of %v takes %v for %v", m.side, flush, d)
		return true
	}},
	{"stuck journal", 1, func(w *world, m *machine, r *rand.Rand) bool {
		p := m.p
		if p == nil {
			return false
		}
		d := time.Duration(100+r.IntN(3000)) * time.Millisecond
		p.stuckUntil = time.Now().Add(d)
		w.tracef("the journal of %v counts as stuck for %v", m.side, d)
		return true
	}},
	{"store refuses", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		m.refuses.Store(true)
		w.tracef("the store of %v refuses", m.side)
		return true
	}},
	{"full disk", 2, func(w *world, m *machine, r *rand.Rand) bool {
		w.kill(m, true)
		if m.limit != 0 {
			m.limit = 0
		} else {
			m.limit = int64(10+r.IntN(40)) * block.Page
		}
		w.tracef("%v has room for %d pages (0: enough)", m.side, m.limit/block.Page)
		w.boot(m)
		return true
	}},
	{"damage", 3, func(w *world, m *machine, r *rand.Rand) bool { return w.rot(m, r) }},
	{"disks put back", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		return w.rotten == nil && !w.anyStill() && w.putBack(m)
	}},
	{"upgrade", 3, func(w *world, m *machine, r *rand.Rand) bool {
		if !m.former {
			return false
		}
		w.kill(m, r.IntN(2) == 0)
		m.former = false
		w.tracef("%v is upgraded", m.side)
		w.boot(m)
		return true
	}},
	{"preference", 2, func(w *world, m *machine, r *rand.Rand) bool {
		p := m.p // the other one may hear of it later, or never
		if p == nil {
			return false
		}
		prefer := []array.Members{0, array.OnlyA, array.OnlyB}[r.IntN(3)]
		w.tracef("%v hears that the group prefers %v", m.side, prefer)
		p.g.SetPolicy(w.policy(prefer))
		return true
	}},
	{"switchover", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		p := m.p
		if p == nil {
			return false
		}
		w.tracef("switchover is asked of %v", m.side)
		go func() { _ = p.g.Switchover() }()
		return true
	}},
	{"volume admitted", 2, func(w *world, _ *machine, _ *rand.Rand) bool {
		if w.anyStill() || w.late == maxLate {
			return false
		}
		w.admit()
		return true
	}},
	{"impatience", 2, func(w *world, _ *machine, r *rand.Rand) bool {
		w.patience = time.Duration(2200+r.IntN(300)) * time.Millisecond
		w.tracef("hosts wait %v for an answer from now on", w.patience)
		return true
	}},
	{"sessions", 2, func(w *world, m *machine, _ *rand.Rand) bool {
		any := false
		for _, c := range w.hosts {
			if c.cmd != nil && c.cmd.try != nil && c.cmd.try.p == m.p && !c.cmd.try.unread {
				c.cmd.try.op.Cancel()
				c.cmd.try.replaced, any = true, true
			}
		}
		if any {
			w.tracef("the hosts' sessions at %v are replaced", m.side)
		}
		return any
	}},
}

// happen lets the n-th fault of the run happen. One for which there is nothing to do is drawn
// again.
func (w *world) happen(n int) {
	r := rand.New(rand.NewPCG(w.seed, 1000+uint64(n)))
	all := 0
	for _, f := range faults {
		all += f.often
	}
	for done := w.without[n]; !done; {
		m, dice := w.m[r.IntN(2)], r.IntN(all)
		for _, f := range faults {
			if dice -= f.often; dice < 0 {
				if done = f.do(w, m, r); done {
					w.count[f.name]++
				}
				break
			}
		}
	}
	w.run(100*time.Millisecond + time.Duration(r.Int64N(int64(w.pace.between))))
}

func (w *world) anyStill() (any bool) {
	w.each(func(p *process) { any = any || p.still() })
	return any
}

// rot turns bits over in a few blocks of an array's pages while the other array has all of
// them. It is always the same array of a run: of what both have damaged, or the other has
// lost, nothing is left.
func (w *world) rot(m *machine, r *rand.Rand) bool {
	if w.turned || w.rotten != nil && w.rotten != m || w.m[0].p == nil || w.m[1].p == nil || w.anyStill() {
		return false
	}
	if ok, _ := w.whole(); !ok {
		return false
	}
	f, err := m.fs.Open("pool/pages", vfs.ReadOnly)
	w.must(err)
	defer f.Close()
	size, err := f.Size()
	w.must(err)
	var written []int64
	buf := vfs.NewBuffer(blockSize)
	for off := int64(0); off < size; off += blockSize {
		_, err := f.ReadAt(buf, off)
		w.must(err)
		if binary.LittleEndian.Uint64(buf) != 0 {
			written = append(written, off)
		}
	}
	if len(written) == 0 {
		return false
	}
	n := 1 + r.IntN(8)
	for range n {
		w.must(m.fs.Flip("pool/pages", written[r.IntN(len(written))]*8+r.Int64N(blockSize*8)))
	}
	w.rotten = m
	w.tracef("the disk of %v damages %d of %d blocks", m.side, n, len(written))
	return true
}

// mend reads all of the pages of an array that was damaged, as a scrub does, and has them
// repaired.
func (w *world) mend() {
	if w.rotten == nil {
		return
	}
	p := w.rotten.p
	w.must(p.pool.Scrub(context.Background(), volume.Cursor{}, 0, func(_ volume.Cursor, bad *volume.Bad) {
		if bad != nil {
			p.g.Damaged(bad.Volume, bad.Page)
		}
	}))
	w.run(2 * time.Second)
}
