// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/replication"
	"github.com/perdure/perdure/internal/volume"
)

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
		if g.shadowed {
			g.leavesPoint() // the source begins again when it has no answer
			return
		}
		old := g.rebuild
		if old != nil && old.until != 0 {
			// What stands is not whole, and its pages go: the log goes back to where the
			// kept pages are.
			if err := g.rewind(); err != nil {
				g.fail(fmt.Errorf("give up a copy: %w", err))
				return
			}
		}
		g.core.Told(p.Epoch, p.Commit)
		g.apply()
		r := &rebuild{putting: true, states: map[array.VolumeID][]byte{}}
		g.rebuild, g.pagesPut = r, 0
		g.dropping++ // nothing is applied between two states of the pages
		g.off(r, func() error {
			defer g.post(func() { g.dropping-- })
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

// rewind takes the log back to the place of the pages that are kept.
func (g *Group) rewind() error {
	at := g.cfg.Pages.Destaged(g.cfg.ID)
	segs := replication.CutSegments(append([]replication.Segment(nil), g.core.Segments()...), at)
	if err := g.standAt(segs, at); err != nil {
		return err
	}
	g.saveSegments()
	return nil
}

// standAt begins the journal anew after place at, the end of segs, and lets go of
// what was not applied.
func (g *Group) standAt(segs []replication.Segment, at array.Place) error {
	pos := array.Position{Place: at}
	if n := len(segs); n > 0 {
		pos.Epoch, pos.Term = segs[n-1].Epoch, segs[n-1].Term
	}
	if err := g.cfg.Log.SetBase(g.cfg.ID, pos); err != nil {
		return fmt.Errorf("begin the journal at place %d: %w", at, err)
	}
	for _, e := range g.tail {
		g.dropEntry(e)
	}
	g.tail, g.tailBytes = nil, 0
	clear(g.repeats)
	g.core.Rebase(segs)
	g.applied, g.held = at, 0
	return nil
}

// off runs work that waits for the disk outside the loop, then goes on in it.
func (g *Group) off(r *rebuild, work func() error, then func()) {
	r.busy.Lock() // here, so that whoever gives it up comes after
	go func() {
		err := work()
		r.busy.Unlock()
		g.post(func() {
			r.putting = false
			if err != nil {
				g.cfg.Logger.Error("copy refused", "group", g.cfg.Name, "err", err)
				g.event("the copy from the other array stopped: " + err.Error())
				r.notYet = g.cfg.Now().Add(copyAnswer)
				g.refuseCopy(r)
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
	if !ok || lastOf(segs) != base || base == 0 || int64(len(r.states)) != r.end.Offset {
		g.cfg.Logger.Error("copy refused: its end can't be read, or not all came", "group", g.cfg.Name)
		g.refuseCopy(r)
		return
	}
	for v, b := range r.states {
		if err := g.setReservations(v, b); err != nil {
			g.fail(fmt.Errorf("take the reservations of volume %v: %w", v, err))
			return
		}
	}
	if err := g.standAt(segs, base); err != nil {
		g.fail(err)
		return
	}
	r.until = max(r.end.Commit, base)
	g.core.Told(g.view.Epoch, r.end.Commit)
	g.putPages()
}

// refuseCopy gives up a copy because of something that is wrong here. Its source, once it has sent the
// end, takes this array to stand there, and would wait for ever, were nothing written: the logs are
// compared anew, though not at once, for it may go wrong again.
func (g *Group) refuseCopy(r *rebuild) {
	if r.end != nil && r.until == 0 {
		g.refusedAt = g.cfg.Now()
	}
	g.dropRebuild()
}

func (g *Group) compareRefused(now time.Time) {
	if !g.refusedAt.IsZero() && now.Sub(g.refusedAt) > copyAnswer {
		g.newStretch()
	}
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

// leaveCopy goes back to the last consistent state, the whole group at once, before a
// person makes this side go on alone: pages that came are of many moments, and whole
// only at a place that this side's order will never reach.
func (g *Group) leaveCopy() error {
	r := g.rebuild
	switch t := g.taking; {
	case t != nil && t.turn != nil:
		return array.Errorf(array.Busy, "%s is turning to the point of %s: try again in a moment", g.what(), time.Unix(0, t.turn.Time).Format(time.DateTime))
	case g.shadowed && g.dropping == 0:
		g.event("the point that has not come whole is given up; the last one goes on")
		g.dropTaking()
		return nil
	case g.dropping > 0 || r != nil && r.until != 0 && r.putting:
		return array.Errorf(array.Busy, "%s is ending a copy: try again in a moment", g.what())
	case r == nil:
		return nil
	case r.until != 0:
		if err := g.rewind(); err != nil {
			g.fail(fmt.Errorf("give up a copy: %w", err))
			return err
		}
		r.until = 0
	}
	g.event("the copy that was not whole is given up; the last consistent state goes on")
	g.dropRebuild()
	return nil
}
