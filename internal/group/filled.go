// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
)

// filled is how far the filling that is under way has got.
func (g *Group) filled() (f progress.Amount) {
	switch c, l, r := g.copying, g.filling, g.rebuild; {
	case c != nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		f = progress.Amount{Done: c.seen.Load(), Total: c.size.Load(), Bytes: c.acked * block.Page}
	case r != nil:
		f.Bytes = g.pagesPut * block.Page
	case g.period.run != nil:
		f = g.period.run.amount()
	case g.taking != nil:
		f.Bytes = g.takingPut() * block.Page
	case l != nil:
		l.mu.Lock()
		defer l.mu.Unlock()
		f = progress.Amount{Done: int64(l.acked - l.from), Total: int64(g.core.End().Place - l.from), Bytes: l.written}
	}
	return f
}

// beginPass begins to look through volumes anew.
func (c *copyRun) beginPass(units []*Unit) {
	size := int64(0)
	for _, u := range units {
		size += u.Size()
	}
	c.seen.Store(0)
	c.size.Store(size)
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
	text := fmt.Sprintf("none; next to send %d, the journal begins after %d", g.cursor, base.Place)
	if why := g.awaits(g.cfg.Now()); g.view.Role == arb.Alone && why != "" {
		text += "; the other array is not taken back yet: " + why
	}
	return text
}
