// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// decideTurn: all of a point came. It is put on pages, and then one fact decides.
func (g *Group) decideTurn(t *taking) {
	end := t.end
	segs, ok := decodeSegments(end.Body)
	if !ok || lastOf(segs) != t.place || end.Offset != t.put || int(end.Held) != len(t.states) {
		g.refusePoint(t, array.Errorf(array.Invalid, "the point's end can't be read, or not all came: %d pages of %d, %d volumes of %d", t.put, end.Offset, len(t.states), end.Held))
		return
	}
	t.turn = &turn{Tag: t.tag, Place: t.place, Time: int64(end.Commit), Segments: end.Body, States: t.states}
	t.putting = true
	t.busy.Lock()
	go func() {
		full := g.cfg.Shadow.FlushResync(g.cfg.ID)
		var err error
		if full == nil {
			err = g.keepFact(factTurn, t.turn)
		}
		t.busy.Unlock()
		g.post(func() {
			t.putting = false
			switch {
			case err != nil: // it may be stored or not
				g.fail(fmt.Errorf("decide to stand at a point: %w", err))
			case full != nil:
				t.turn = nil
				g.refusePoint(t, full)
			default:
				g.makeTurn(t)
			}
		})
	}()
}

// makeTurn turns the pages to the point, until that is done.
func (g *Group) makeTurn(t *taking) {
	t.putting = true
	t.busy.Lock()
	go func() {
		err := g.turnPages(t.turn.Place)
		t.busy.Unlock()
		g.post(func() {
			t.putting = false
			if err != nil {
				g.cfg.Logger.Error("turn to a point", "group", g.cfg.Name, "err", err)
				t.turnedAt = g.cfg.Now().Add(copyAnswer)
				return
			}
			g.standAtPoint(t)
		})
	}()
}

func (g *Group) turnPages(at array.Place) error {
	if !g.cfg.Copy.Resyncing(g.cfg.ID) && g.cfg.Pages.Destaged(g.cfg.ID) >= at {
		return nil
	}
	return g.cfg.Copy.FinishResync(g.cfg.ID, at)
}

// checkTurn tries again to turn pages that could not be turned.
func (g *Group) checkTurn(now time.Time) {
	if t := g.taking; t != nil && t.turn != nil && !t.putting && now.After(t.turnedAt) {
		g.makeTurn(t)
	}
}

// standAtPoint lets the log follow the pages.
func (g *Group) standAtPoint(t *taking) {
	d := t.turn
	segs, _ := decodeSegments(d.Segments)
	for v, b := range d.States {
		if g.units[v] == nil {
			continue
		}
		if err := g.setReservations(v, b); err != nil {
			g.fail(err)
			return
		}
	}
	if err := g.standAt(segs, d.Place); err != nil {
		g.fail(err)
		return
	}
	g.saveSegments()
	d.Done = true
	if err := g.keepFact(factTurn, d); err != nil {
		g.fail(err)
		return
	}
	g.turned, g.taking, g.shadowed = *d, nil, false
	if g.contact {
		g.ackTaking(d.Tag, pointTurned, nil)
	}
}

// loadPoints reads what is known of points, and finishes a turn that was decided before the
// process ended. It reports whether the pages of an unfinished point are to be kept.
func (g *Group) loadPoints() (keep bool, err error) {
	if g.cfg.Points == nil || g.cfg.Shadow == nil || g.cfg.Copy == nil {
		return false, nil
	}
	if err := g.fact(factPoints, &g.period.kept); err != nil {
		return false, err
	}
	if err := g.fact(factTurn, &g.turned); err != nil {
		return false, err
	}
	if d := &g.turned; d.Tag != 0 && !d.Done {
		if err := g.finishTurn(d); err != nil {
			return false, fmt.Errorf("finish the turn to the point at place %d: %w", d.Place, err)
		}
	}
	var of uint64
	if err := g.fact(factShadow, &of); err != nil {
		return false, err
	}
	g.shadowed = of != 0 && g.cfg.Copy.Resyncing(g.cfg.ID)
	return g.shadowed, nil
}

// dropShadow gives up the pages of an unfinished point before the group begins. The log is
// as it was: nothing of a point is in it.
func (g *Group) dropShadow() error {
	if err := g.cfg.Copy.AbortResync(g.cfg.ID); err != nil {
		return fmt.Errorf("drop the pages of an unfinished point: %w", err)
	}
	g.shadowed = false
	return g.keepFact(factShadow, uint64(0))
}

func (g *Group) finishTurn(d *turn) error {
	segs, ok := decodeSegments(d.Segments)
	if !ok || lastOf(segs) != d.Place {
		return array.Errorf(array.Medium, "its description of the log is damaged")
	}
	if err := g.turnPages(d.Place); err != nil {
		return err
	}
	s := segs[len(segs)-1]
	if err := g.cfg.Log.SetBase(g.cfg.ID, array.Position{Epoch: s.Epoch, Term: s.Term, Place: d.Place}); err != nil {
		return err
	}
	if err := g.cfg.Keep.Put(g.cfg.ID, "segments", encodeSegments(segs)); err != nil {
		return err
	}
	for v, b := range d.States {
		if err := g.cfg.Keep.Put(g.cfg.ID, "reservations/"+v.String(), b); err != nil {
			return err
		}
	}
	d.Done = true
	return g.keepFact(factTurn, d)
}
