// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
)

// The other array is filled by one reader that streams the journal from the first
// record it lacks, held back by what the other acknowledges. The last applied
// records stay in memory meanwhile, so that the reader, which is always a little
// late, meets the live order there and hands over to it.

const (
	// fillWindow is how many records may be under way from the journal, fillBytes how
	// many bytes of them.
	fillWindow = 2048
	fillBytes  = 16 << 20
	// fillBatch is how many are passed to the loop at once.
	fillBatch = 64
	// recentRecords and recentBytes bound what stays in memory after application.
	recentRecords = 1024
	recentBytes   = 16 << 20
)

// fillRun is one reader.
type fillRun struct {
	mu    sync.Mutex
	cond  *sync.Cond
	acked array.Place
	ended bool
	// from is where acked stood when it began, written how many bytes were acknowledged since.
	from    array.Place
	written int64
	// under are the records under way, oldest first; bytes is their sum.
	under []underWay
	bytes int64
}

type underWay struct {
	place array.Place
	bytes int64
}

func (r *fillRun) tell(acked array.Place) {
	r.mu.Lock()
	r.acked = max(r.acked, acked)
	n := 0
	for ; n < len(r.under) && r.under[n].place <= r.acked; n++ {
		r.bytes -= r.under[n].bytes
		r.written += r.under[n].bytes
	}
	r.under = append(r.under[:0], r.under[n:]...)
	r.mu.Unlock()
	r.cond.Broadcast()
}

func (r *fillRun) stop() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.cond.Broadcast()
}

// full reports whether the record at place must wait. The caller holds r.mu.
func (r *fillRun) full(place array.Place, bytes int64) bool {
	return place > r.acked+fillWindow || r.bytes > 0 && r.bytes+bytes > fillBytes
}

// wouldWait reports whether wait would block now.
func (r *fillRun) wouldWait(place array.Place, bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended && r.full(place, bytes)
}

// wait blocks until the record at place may be sent; false if the run was stopped.
func (r *fillRun) wait(place array.Place, bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.ended && r.full(place, bytes) {
		r.cond.Wait()
	}
	r.under = append(r.under, underWay{place, bytes})
	r.bytes += bytes
	return !r.ended
}

// fill sends what the other array lacks: from memory if it is all there, else
// from the journal, else from pages.
func (g *Group) fill() {
	if g.filling != nil {
		g.filling.tell(g.core.Peer())
		return
	}
	if g.crowded() || !g.core.Met() || g.cursor == 0 || g.copying != nil || g.cursor > g.core.End().Place || g.view.Role == arb.Out {
		return
	}
	if g.fillFromMemory(g.recent) && g.fillFromMemory(g.tail) && g.cursor > g.core.End().Place {
		return
	}
	base, _, ok := g.cfg.Log.Bounds(g.cfg.ID)
	if !ok || g.cursor <= base.Place {
		if g.view.Role == arb.Paired { // it lost what it had, and takes no copy as a member
			g.alarm("the other array lacks what is not in the journal any more; it is left out and copied anew")
			var out arb.Output
			g.m.PeerBehind(nonce(), &out)
			g.carry(&out)
			return
		}
		g.startCopy()
		return
	}
	g.fillFromLog()
}

// fillFromMemory sends the entries from the cursor on, if they reach back that far.
// It reports whether the cursor is now past them; of none it always is.
func (g *Group) fillFromMemory(l []*entry) bool {
	if len(l) == 0 {
		return true
	}
	if l[0].pos.Place > g.cursor {
		return false
	}
	if last := l[len(l)-1].pos.Place; last < g.cursor {
		return true
	}
	for _, e := range l[g.cursor-l[0].pos.Place:] {
		g.sendRecord(e.rec, g.ownerAt(e.pos), e.buf)
		g.cursor++
	}
	return true
}

// sendFrom sets the cursor: the other array is sent all from there on, again if need
// be. A reader that is further on, or waits for what will not be acknowledged, ends.
func (g *Group) sendFrom(place array.Place) {
	g.cursor = max(place, g.core.Peer()+1) // what it holds may be released here
	if g.apart() {
		g.cursor = 0 // it gets points, and no records
	}
	if g.filling != nil {
		g.filling.stop()
		g.filling = nil
	}
}

// stallAfter is how long the other array may make no progress before what it lacks
// is sent, or the logs are compared, again: whatever was lost on the way.
const stallAfter = time.Second

func (g *Group) checkStall(now time.Time) {
	peer := g.core.Peer()
	if !g.contact || g.view.Role == arb.Held || peer != g.progress || g.core.Met() && peer >= g.core.End().Place {
		g.progress, g.progressAt = peer, now
		return
	}
	if now.Sub(g.progressAt) < stallAfter {
		return
	}
	g.progressAt = now
	switch {
	case !g.core.Met():
		g.logWanted = true
	case g.view.Role == arb.Alone || g.core.Owner() == g.cfg.Self || !g.core.Reconciled():
		if g.copying == nil {
			g.sendFrom(peer + 1)
		}
	}
}

// remember keeps an applied record for the reader to meet.
func (g *Group) remember(e *entry) bool {
	if g.cfg.Peer == nil || !g.contact || g.view.Role != arb.Alone || g.apart() {
		return false
	}
	g.recent = append(g.recent, e)
	g.recentSize += len(e.rec.Payload)
	for len(g.recent) > recentRecords || g.recentSize > recentBytes {
		g.forgetOldest()
	}
	return true
}

func (g *Group) forgetOldest() {
	e := g.recent[0]
	g.recent[0] = nil
	g.recent = g.recent[1:]
	g.recentSize -= len(e.rec.Payload)
	g.forget(e)
}

// endFill stops the reader and lets the remembered records go.
func (g *Group) endFill() {
	if g.filling != nil {
		g.filling.stop()
		g.filling = nil
	}
	for len(g.recent) > 0 {
		g.forgetOldest()
	}
}

func (g *Group) fillFromLog() {
	r := &fillRun{acked: g.core.Peer(), from: g.core.Peer()}
	r.cond = sync.NewCond(&r.mu)
	g.filling = r
	from, epoch := g.cursor, g.view.Epoch
	go func() {
		var batch []journal.Record
		pass := func() {
			if len(batch) == 0 {
				return
			}
			b := batch
			batch = nil
			g.post(func() { g.passOn(r, epoch, b) })
		}
		err := g.cfg.Log.Read(g.cfg.ID, from, func(x journal.Record) error {
			if r.wouldWait(x.Pos.Place, int64(len(x.Payload))) {
				pass() // what was read must be on its way to be acknowledged
			}
			if !r.wait(x.Pos.Place, int64(len(x.Payload))) {
				return errStop
			}
			x.Payload = append([]byte(nil), x.Payload...)
			x.Buf = nil
			if batch = append(batch, x); len(batch) >= fillBatch {
				pass()
			}
			return nil
		})
		pass()
		g.post(func() {
			if g.filling == r {
				g.filling = nil
			}
			if err != nil && err != errStop {
				g.cfg.Logger.Warn("read the journal for the other array", "group", g.cfg.Name, "err", err)
			}
		})
	}()
}

// passOn sends records that were read from the journal.
func (g *Group) passOn(r *fillRun, epoch array.Epoch, batch []journal.Record) {
	if g.filling != r || g.view.Epoch != epoch || !g.core.Met() {
		return
	}
	for _, x := range batch {
		if x.Pos.Place != g.cursor {
			r.stop() // the cursor was set back: begin again there
			return
		}
		g.sendRecord(x, g.ownerAt(x.Pos), nil)
		g.cursor++
	}
}
