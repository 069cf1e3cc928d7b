// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/replication"
	"github.com/perdure/perdure/internal/volume"
)

// Copier keeps the last consistent state of the group while pages of a newer one
// arrive. *volume.Pool is one.
type Copier interface {
	Resyncing(g array.GroupID) bool
	BeginResync(g array.GroupID) error
	PutPages(g array.GroupID, puts []volume.Put) error
	FinishResync(g array.GroupID, place array.Place) error
	AbortResync(g array.GroupID) error
}

// A copy by pages is for a journal that no longer holds what the other lacks. The
// source notes its commit place, the base; asks how far the target's pages are;
// sends every page born since, as it is when its turn comes; then the end, with
// its commit place now. The target stands at the base from then on and follows the
// log; its pages are whole once it has applied all up to the end, and only then
// does it turn from its last consistent state to the new one.

// copyWindow is how many pages may be under way.
const copyWindow = 256

// copyRun is a copy at its source.
type copyRun struct {
	base array.Place
	segs []replication.Segment

	// asked is when the target was asked to begin; moved when it last got further, to
	// reached.
	asked, moved time.Time
	reached      int64
	// walked grows as the source looks through its pages, though it may find none.
	walked atomic.Int64
	// seen is how many of size bytes of volumes this pass has looked through.
	seen, size atomic.Int64

	mu    sync.Mutex
	cond  *sync.Cond
	since array.Place
	begun bool
	acked int64
	ended bool
}

func (g *Group) startCopy() {
	if g.copying != nil || g.cfg.Copy == nil || g.applied < g.core.Commit() || g.theirChange != g.change || g.cfg.Now().Before(g.copyStuck.next) {
		return
	}
	c := &copyRun{base: g.applied, segs: replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), g.applied)}
	c.cond = sync.NewCond(&c.mu)
	c.asked = g.cfg.Now()
	g.copying = c
	g.cursor = 0
	g.peerPartial = true
	g.sends = append(g.sends, Packet{Type: PacketPagesBegin, Epoch: g.view.Epoch, Commit: g.core.Commit()})
	if g.copyStuck.next.IsZero() {
		g.event("copying pages to the other array")
	}
	go g.runCopy(c, g.allUnits(), g.view.Epoch)
}

func (g *Group) stopCopy() {
	g.endFill()
	if c := g.copying; c != nil {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
		c.cond.Broadcast()
		g.copying = nil
	}
	g.dropRebuild()
	g.endPointRun()
	g.leaveTaking()
}

// copyAnswer is how long the target may take to begin.
const copyAnswer = 4 * time.Second

// copyStalls is how long the target may write no page: its pool may be full. Then
// the copy is begun anew, and so again until there is room.
const copyStalls = 15 * time.Second

// checkCopy gives a copy up that the target does not begin, or does not go on with,
// and compares anew.
func (g *Group) checkCopy(now time.Time) {
	c := g.copying
	if c == nil {
		return
	}
	c.mu.Lock()
	begun, acked := c.begun, c.acked+c.walked.Load()
	c.mu.Unlock()
	if acked != c.reached || c.moved.IsZero() {
		c.reached, c.moved = acked, now
	}
	if !begun && now.Sub(c.asked) > copyAnswer || begun && now.Sub(c.moved) > copyStalls {
		g.stopCopy()
		g.newStretch()
	}
}

// wait blocks until ok; false if the copy was stopped.
func (c *copyRun) wait(ok func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended && !ok() {
		c.cond.Wait()
	}
	return !c.ended
}

// runCopy sends pass after pass: what was born since the target's pages, then what
// was born meanwhile, until the log from the last pass on is still there.
func (g *Group) runCopy(c *copyRun, units []*Unit, epoch array.Epoch) {
	if !c.wait(func() bool { return c.begun }) {
		return
	}
	sent := int64(0)
	for more := true; more; {
		c.beginPass(units)
		for _, u := range units {
			if err := g.sendVolume(c, u, epoch, &sent); err != nil {
				g.cfg.Logger.Warn("copy stopped", "group", g.cfg.Name, "volume", u.id.Name, "err", err)
				g.post(func() {
					if g.copying == c {
						g.copyStopped(u, err)
						g.stopCopy()
						g.newStretch()
					}
				})
				return
			}
		}
		if !c.wait(func() bool { return c.acked >= sent }) {
			return
		}
		var ok bool
		if units, ok = g.nextPass(c, epoch); !ok {
			return
		}
		more = units != nil
	}
}

// alikeEvery is how often a copy that could end looks whether the other array has the description.
const alikeEvery = 100 * time.Millisecond

// nextPass waits until the copy may end, or take another pass, of whose units it returns those. The other
// array refuses the end of a copy with a volume of which it has not heard.
func (g *Group) nextPass(c *copyRun, epoch array.Epoch) (units []*Unit, ok bool) {
	next := make(chan bool, 1)
	for waits := true; waits; {
		if !g.post(func() {
			alike := g.alike() || g.copying != c
			if alike {
				units = g.endPass(c, epoch)
			}
			next <- alike
		}) {
			return nil, false
		}
		select {
		case alike := <-next:
			waits = !alike
		case <-g.done:
			return nil, false
		}
		if waits {
			c.walked.Add(1) // it does not stall
			select {
			case <-time.After(alikeEvery):
			case <-g.done:
				return nil, false
			}
		}
	}
	return units, true
}

// endPass ends the copy, or prepares another pass and returns the volumes that there
// are now: one that was admitted meanwhile has its log before the next pass's base.
func (g *Group) endPass(c *copyRun, epoch array.Epoch) []*Unit {
	if g.copying != c || g.view.Epoch != epoch {
		return nil
	}
	if base, _, ok := g.cfg.Log.Bounds(g.cfg.ID); !ok || base.Place > c.base {
		c.mu.Lock()
		c.since = c.base
		c.mu.Unlock()
		c.base = g.applied
		c.segs = replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), g.applied)
		return g.allUnits()
	}
	states := int64(0)
	for _, u := range g.allUnits() {
		// The log from the base on repeats what changes from now on.
		if b, err := u.state.Load().MarshalBinary(); err == nil {
			g.sends = append(g.sends, Packet{Type: PacketPagesState, Epoch: epoch, Volume: u.id.Volume, Body: b})
			states++
		}
	}
	g.sends = append(g.sends, Packet{Type: PacketPagesEnd, Epoch: epoch, Commit: g.core.Commit(), Length: int64(c.base), Offset: states, Body: encodeSegments(c.segs)})
	g.copying, g.copyStuck = nil, copyStuck{}
	g.cursor = c.base + 1
	g.core.PeerRebased(c.base)
	return nil
}

func (g *Group) allUnits() []*Unit {
	units := make([]*Unit, 0, len(g.units))
	for _, u := range g.units {
		if !u.id.ReadOnly { // a snapshot never changes
			units = append(units, u)
		}
	}
	return units
}

// sendVolume sends the pages of a volume that were born since the pass's beginning.
func (g *Group) sendVolume(c *copyRun, u *Unit, epoch array.Epoch, sent *int64) error {
	for from, before := int64(0), c.seen.Load(); ; {
		var pages []int64
		err := u.disk.ChangedSince(c.since, from, func(n int64, birth array.Place) bool {
			c.walked.Add(1)
			if birth != 0 {
				pages = append(pages, n)
			}
			return len(pages) < copyWindow
		})
		if err == nil {
			err = g.sendPages(c, u, pages, epoch, sent)
		}
		if err != nil || len(pages) < copyWindow {
			c.seen.Store(before + u.Size())
			return err
		}
		from = pages[len(pages)-1] + 1
		c.seen.Store(before + from*block.Page)
	}
}

func (g *Group) sendPages(c *copyRun, u *Unit, pages []int64, epoch array.Epoch, sent *int64) error {
	for _, n := range pages {
		if !c.wait(func() bool { return *sent-c.acked < copyWindow }) {
			return fmt.Errorf("the other array was lost")
		}
		b := make([]byte, block.Page)
		birth, err := u.fetchPage(n, b)
		if err != nil {
			return err
		}
		p := Packet{Type: PacketPage, Epoch: epoch, Volume: u.id.Volume, Offset: n, Pos: array.Position{Place: birth}, Body: b}
		if allZero(b) {
			p.Body = nil
		}
		*sent++
		g.post(func() { g.sends = append(g.sends, p) })
	}
	return nil
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	return true
}
