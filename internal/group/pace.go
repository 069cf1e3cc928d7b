// SPDX-License-Identifier: Apache-2.0

package group

import "time"

const (
	// tickEvery is how often a group looks at the clock.
	tickEvery = 50 * time.Millisecond
	// quietTick is how often one does for which nothing depends on it: an array has
	// thousands of volumes that nobody uses at the moment. What happens to a group comes
	// as a call, after which it looks at once how often it must.
	quietTick = 2 * time.Second
)

// pace returns how often the clock matters now. A group with another half always has
// something to watch; one that lives here alone does while a command waits for a place
// or a commit, while it does not serve or a damaged page is to be had, and until the
// journal could let go of all.
func (g *Group) pace() time.Duration {
	switch {
	case g.cfg.Peer != nil || g.failed != nil || g.gate.Load().state != gateServe:
	case len(g.waiting) > 0 || len(g.tail) > 0 || len(g.busy) > 0 || len(g.heals) > 0 || g.aside.on || g.released < g.applied:
	default:
		return quietTick
	}
	return tickEvery
}
