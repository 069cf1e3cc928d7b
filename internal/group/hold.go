// SPDX-License-Identifier: Apache-2.0

package group

import (
	"errors"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// holding is one volume whose commands wait.
type holding struct {
	unit *Unit
	// quiet is closed when none of them has a place any more.
	quiet chan struct{}
	told  bool
}

// holdWithin is how long Hold waits for what is under way.
const holdWithin = 2 * time.Second

// Hold lets the commands wait that would change a volume, through whichever array they come,
// and returns when those that had a place have ended. The others are served. After release
// they go on, or are answered BUSY if the volume was removed meanwhile. An error says that
// nothing is held.
func (g *Group) Hold(id array.VolumeID) (release func(), err error) {
	h := &holding{quiet: make(chan struct{})}
	if e := g.ask(func() {
		switch h.unit = g.units[id]; {
		case h.unit == nil:
			err = array.Errorf(array.NotFound, "volume %v is not in group %s", id, g.cfg.Name)
		case g.holding != nil:
			err = array.Errorf(array.Busy, "volume %s of group %s is held already", g.holding.unit.id.Name, g.cfg.Name)
		case g.state() != gateServe:
			err = array.Errorf(array.Busy, "group %s is not served here at this moment", g.cfg.Name)
		default:
			g.holding = h
		}
	}); e != nil || err != nil {
		return nil, errors.Join(e, err)
	}
	release = func() {
		g.post(func() {
			if g.holding == h {
				g.holding = nil
				g.place()
			}
		})
	}
	select {
	case <-h.quiet:
		return release, nil
	case <-time.After(holdWithin):
	}
	release()
	return nil, array.Errorf(array.Busy, "volume %s: writes under way take longer than %v: try again", h.unit.id.Name, holdWithin)
}

// holds reports whether a command must wait because its volume is held.
func (g *Group) holds(w *work) bool {
	return g.holding != nil && g.holding.unit == w.unit && w.buf == nil // what has read its old data holds its range
}

// checkHolding tells who waits that nothing of the volume is under way any more.
func (g *Group) checkHolding() {
	h := g.holding
	if h == nil || h.told || g.installing(h.unit) || h.unit.reserving {
		return
	}
	if slices.ContainsFunc(g.busy, func(w *work) bool { return w.unit == h.unit }) {
		return
	}
	if slices.ContainsFunc(g.tail, func(e *entry) bool { return e.rec.Volume == h.unit.id.Volume || e.work != nil && e.work.unit == h.unit }) {
		return
	}
	h.told = true
	close(h.quiet)
}
