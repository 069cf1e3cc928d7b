// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
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

	mu    sync.Mutex
	cond  *sync.Cond
	since array.Place
	begun bool
	acked int64
	ended bool
}

func (g *Group) startCopy() {
	if g.copying != nil || g.cfg.Copy == nil || g.applied < g.core.Commit() {
		return
	}
	c := &copyRun{base: g.applied, segs: replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), g.applied)}
	c.cond = sync.NewCond(&c.mu)
	c.asked = g.cfg.Now()
	g.copying = c
	g.cursor = 0
	g.peerPartial = true
	g.sends = append(g.sends, Packet{Type: PacketPagesBegin, Epoch: g.view.Epoch, Commit: g.core.Commit()})
	units := make([]*Unit, 0, len(g.units))
	for _, u := range g.units {
		units = append(units, u)
	}
	epoch := g.view.Epoch
	g.event("copying pages to the other array")
	go g.runCopy(c, units, epoch)
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
	begun, acked := c.begun, c.acked
	c.mu.Unlock()
	if acked != c.reached || c.moved.IsZero() {
		c.reached, c.moved = acked, now
	}
	if !begun && now.Sub(c.asked) > copyAnswer || begun && now.Sub(c.moved) > copyStalls {
		g.stopCopy()
		g.newStretch()
	}
}

// copyState says for people how the return of an array goes.
func (g *Group) copyState() string {
	base, _, _ := g.cfg.Log.Bounds(g.cfg.ID)
	switch c, r := g.copying, g.rebuild; {
	case c != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		return fmt.Sprintf("copying pages born after place %d to the other array: begun %v, %d written there", c.since, c.begun, c.acked)
	case r != nil:
		return fmt.Sprintf("taking pages from the other array: %d written, whole at place %d", g.pagesPut, r.until)
	case g.dropping > 0:
		return "giving up an unfinished copy"
	case g.filling != nil:
		return fmt.Sprintf("sending the journal from place %d on; it begins at %d", g.cursor, base.Place)
	}
	return fmt.Sprintf("none; next to send %d, the journal begins after %d", g.cursor, base.Place)
}

// dropRebuild gives up a copy whose pages have not all come: the last consistent
// state goes on, and nothing is applied until the pages are out of its way. One
// whose pages have come goes on, over contacts: it only waits for the log to reach
// the place at which they are whole.
func (g *Group) dropRebuild() {
	r := g.rebuild
	if r == nil || r.until != 0 {
		return
	}
	g.rebuild = nil
	g.dropping++
	go func() {
		r.busy.Lock() // what is being put is put first
		var err error
		if g.cfg.Copy.Resyncing(g.cfg.ID) {
			err = g.cfg.Copy.AbortResync(g.cfg.ID)
		}
		r.busy.Unlock()
		g.post(func() {
			g.dropping--
			if err != nil {
				g.fail(fmt.Errorf("give up an unfinished copy: %w", err))
			}
		})
	}()
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

func (g *Group) runCopy(c *copyRun, units []*Unit, epoch array.Epoch) {
	if !c.wait(func() bool { return c.begun }) {
		return
	}
	sent := int64(0)
	for _, u := range units {
		from := int64(0)
		for {
			var pages []int64
			err := u.disk.ChangedSince(c.since, from, func(n int64, _ array.Place) bool {
				pages = append(pages, n)
				return len(pages) < copyWindow
			})
			if err == nil {
				err = g.sendPages(c, u, pages, epoch, &sent)
			}
			if err != nil {
				g.cfg.Logger.Warn("copy stopped", "group", g.cfg.Name, "volume", u.id.Name, "err", err)
				g.post(func() {
					if g.copying == c {
						g.stopCopy()
						g.newStretch()
					}
				})
				return
			}
			if len(pages) < copyWindow {
				break
			}
			from = pages[len(pages)-1] + 1
		}
	}
	if !c.wait(func() bool { return c.acked >= sent }) {
		return
	}
	g.post(func() {
		if g.copying != c || g.view.Epoch != epoch {
			return
		}
		for _, u := range g.units {
			// The log from the base on repeats what changes from now on.
			if b, err := u.state.Load().MarshalBinary(); err == nil {
				g.sends = append(g.sends, Packet{Type: PacketPagesState, Epoch: epoch, Volume: u.id.Volume, Body: b})
			}
		}
		g.sends = append(g.sends, Packet{Type: PacketPagesEnd, Epoch: epoch, Commit: g.core.Commit(), Length: int64(c.base), Body: encodeSegments(c.segs)})
		g.copying = nil
		g.cursor = c.base + 1
		g.core.PeerRebased(c.base)
	})
}

func (g *Group) sendPages(c *copyRun, u *Unit, pages []int64, epoch array.Epoch, sent *int64) error {
	for _, n := range pages {
		if !c.wait(func() bool { return *sent-c.acked < copyWindow }) {
			return fmt.Errorf("the other array was lost")
		}
		b := make([]byte, block.Page)
		birth, err := u.disk.ReadPage(n, b)
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

// rebuild is a copy at its target.
type rebuild struct {
	puts    []volume.Put
	putting bool
	end     *Packet
	until   array.Place               // finish when all up to here is applied
	notYet  time.Time                 // after a refusal, when to try again
	states  map[array.VolumeID][]byte // reservations as the source has them
	busy    sync.Mutex                // held while the pool is at work for this copy
}

func (g *Group) receiveCopy(p Packet) {
	if p.Epoch != g.view.Epoch {
		return
	}
	if p.Type == PacketPageAck {
		if c := g.copying; c != nil {
			c.mu.Lock()
			if !c.begun {
				c.begun, c.since = true, p.Held
			}
			c.acked = max(c.acked, p.Length)
			c.mu.Unlock()
			c.cond.Broadcast()
		}
		return
	}
	if g.core.Reading() || g.cfg.Copy == nil || g.dropping > 0 {
		return // a member does not take copies
	}
	switch p.Type {
	case PacketPagesBegin:
		g.core.Told(p.Epoch, p.Commit)
		g.apply()
		r := &rebuild{putting: true, states: map[array.VolumeID][]byte{}}
		old := g.rebuild
		g.rebuild, g.pagesPut = r, 0
		g.off(r, func() error {
			if old != nil {
				old.busy.Lock() // what is being put for the copy that this one replaces is put first
				defer old.busy.Unlock()
			}
			if g.cfg.Copy.Resyncing(g.cfg.ID) {
				if err := g.cfg.Copy.AbortResync(g.cfg.ID); err != nil {
					return err
				}
			}
			return g.cfg.Copy.BeginResync(g.cfg.ID)
		}, func() {
			g.sends = append(g.sends, Packet{Type: PacketPageAck, Epoch: g.view.Epoch, Held: g.cfg.Pages.Destaged(g.cfg.ID)})
		})
	case PacketPage:
		if r := g.rebuild; r != nil && r.end == nil && len(r.puts) <= copyWindow {
			r.puts = append(r.puts, volume.Put{Volume: p.Volume, Page: p.Offset, Birth: p.Pos.Place, Data: p.Body})
			g.putPages()
		}
	case PacketPagesState:
		if r := g.rebuild; r != nil && r.end == nil && g.units[p.Volume] != nil {
			r.states[p.Volume] = p.Body
		}
	case PacketPagesEnd:
		if r := g.rebuild; r != nil && r.end == nil {
			r.end = &p
			g.putPages()
		}
	}
}

// off runs work that waits for the disk outside the loop, then goes on in it.
func (g *Group) off(r *rebuild, work func() error, then func()) {
	go func() {
		r.busy.Lock()
		err := work()
		r.busy.Unlock()
		g.post(func() {
			r.putting = false
			if err != nil {
				g.cfg.Logger.Error("copy refused", "group", g.cfg.Name, "err", err)
				g.event("the copy from the other array stopped: " + err.Error())
				r.notYet = g.cfg.Now().Add(copyAnswer)
				g.dropRebuild()
				return
			}
			if g.rebuild == r {
				then()
				g.putPages()
			}
		})
	}()
}

func (g *Group) putPages() {
	r := g.rebuild
	switch {
	case r == nil || r.putting:
	case len(r.puts) > 0:
		puts := r.puts
		r.puts, r.putting = nil, true
		g.off(r, func() error { return g.cfg.Copy.PutPages(g.cfg.ID, puts) }, func() {
			g.pagesPut += int64(len(puts))
			g.sends = append(g.sends, Packet{Type: PacketPageAck, Epoch: g.view.Epoch, Length: g.pagesPut})
		})
	case r.end != nil && r.until == 0:
		g.standAtBase(r)
	case r.until != 0 && g.applied >= r.until && g.cfg.Now().After(r.notYet):
		at := g.applied
		r.putting = true
		g.off(r, func() error { return g.cfg.Copy.FinishResync(g.cfg.ID, at) }, func() {
			g.rebuild, g.held = nil, 0
			g.saveSegments()
			g.event("copy of pages complete")
		})
	}
}

// standAtBase begins the log anew where the source's stood when the copy began.
func (g *Group) standAtBase(r *rebuild) {
	segs, ok := decodeSegments(r.end.Body)
	base := array.Place(r.end.Length)
	if !ok || lastOf(segs) != base || base == 0 {
		g.cfg.Logger.Error("copy refused: its end can't be read", "group", g.cfg.Name)
		g.dropRebuild()
		return
	}
	for v, b := range r.states {
		if err := g.setReservations(v, b); err != nil {
			g.fail(fmt.Errorf("take the reservations of volume %v: %w", v, err))
			return
		}
	}
	last := segs[len(segs)-1]
	if err := g.cfg.Log.SetBase(g.cfg.ID, array.Position{Epoch: last.Epoch, Term: last.Term, Place: base}); err != nil {
		g.fail(fmt.Errorf("begin the journal at place %d: %w", base, err))
		return
	}
	for _, e := range g.tail {
		g.dropEntry(e)
	}
	g.tail, g.tailBytes = nil, 0
	clear(g.repeats)
	g.core.Rebase(segs)
	g.applied = base
	g.held = 0
	r.until = max(r.end.Commit, base)
	g.core.Told(g.view.Epoch, r.end.Commit)
	g.putPages()
}

// advance lets places without data count as applied in the pool.
func (g *Group) advance(r journal.Record) { g.cfg.Pages.Advance(r.Group, r.Pos.Place) }
