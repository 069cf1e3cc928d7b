// SPDX-License-Identifier: Apache-2.0

package group

import (
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
)

const (
	// tickEvery is how often a group looks at the clock.
	tickEvery = 50 * time.Millisecond
	// quietTick is how often one does for which nothing depends on it: an array has
	// thousands of volumes that nobody uses at the moment, in a thousand groups. What
	// happens to a group comes as a call, after which it looks at once how often it must.
	quietTick = 2 * time.Second
)

// pace returns how often the clock matters now. A group that lives here alone does while a
// command waits for a place or a commit, while it does not serve or a damaged page is to be
// had, and until the journal could let go of all. One with another half does unless both
// are of one mind and nothing is under way.
func (g *Group) pace() time.Duration {
	switch {
	case g.failed != nil, len(g.waiting) > 0 || len(g.tail) > 0 || len(g.busy) > 0 || len(g.heals) > 0 || g.aside.on || g.released < g.applied:
	case g.cfg.Peer != nil:
		if g.atRest() {
			return quietTick
		}
	case g.gate.Load().state == gateServe:
		return quietTick
	}
	return tickEvery
}

// atRest reports whether nothing of the group's waits for time to pass: both arrays are
// members, talk, hold each other's leases for it and have the same, and nobody asks.
func (g *Group) atRest() bool {
	in, lease, rec := g.m.Inputs(), g.cfg.Peer.Lease(), g.m.Stored().Current
	switch {
	case rec.DecidedBy(g.cfg.Self) && in.Owner != g.cfg.Self: // it hands that over
	case !g.contact || !in.Contact || !in.Matched || !in.Synced || in.Doubted || g.view.Role != arb.Paired || g.view.Sealed || !g.core.Met() || g.m.Asking():
	case lease == 0 || lease != g.theirGrant || g.opened != g.cfg.Peer.Period() || g.openedFor != rec.ID:
	case g.state() == gateHold || g.stopped || g.gaveUp || g.distrusted || g.resend || g.switching != nil || g.copying != nil || g.filling != nil || g.taking != nil:
	case len(g.calls) > 0 || len(g.forwards.byID) > 0 || g.periodic() || g.cfg.Policy.FollowWrites:
	default:
		return true
	}
	return false
}

// registerSeen names a state of the group's register at the witness.
type registerSeen struct{ incarnation, version uint64 }

// noteRest publishes which register a group has seen that waits for nothing, nil if it does.
func (g *Group) noteRest(every time.Duration) {
	var at *registerSeen
	if every == quietTick {
		at = g.seen
	}
	if g.rested.Load() != at {
		g.rested.Store(at)
	}
	if whole := every == quietTick && g.cfg.Peer != nil; g.whole.Load() != whole {
		g.whole.Store(whole)
	}
}

// Whole reports whether both arrays are members, talk, and have the same, as of the last
// turn in which anything happened. It waits for nobody; where it says no, Info says why.
func (g *Group) Whole() bool { return g.whole.Load() }
