// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/scsi"
)

// With the policy active_active the array that does not own the group serves it too: it
// reads its own pages and has its writes ordered by the owner (forward.go). All that the
// owner must heed for that - reads that wait for what is in flight, changes of
// reservations that are answered when both have them - it heeds whatever its policy is,
// so that only the array that shares has to know.

// shares reports whether this array serves what the other orders. The open term must
// have begun in this stretch of talk: only then is all that was placed before it known
// here, and all of the term itself in memory.
func (g *Group) shares() bool {
	if !g.cfg.Policy.ActiveActive || g.core.Owner() == g.cfg.Self || g.core.CommittedOwner() == g.cfg.Self {
		return false
	}
	if g.termStretch != g.stretch || g.rebuild != nil || g.switching != nil || !g.caughtUp() {
		return false
	}
	_, ok := g.leaseFor(arb.Paired, g.theirGrant)
	return ok
}

// termBegan notes that the owner entry of a new term came, or was placed.
func (g *Group) termBegan() { g.termStretch = g.stretch }

// Proximity says which array's paths a host is to prefer in a group that both serve.
type Proximity uint8

// The proximities.
const (
	// NearHome: the paths of the group's home array are optimized, the other's are not.
	NearHome Proximity = iota
	// NearOther is the reverse.
	NearOther
	// NearBoth: all paths are optimized.
	NearBoth
	proximities
)

// near returns the states of this array's and the other's ports while both serve.
func (g *Group) near(p Proximity) (mine, theirs scsi.PathState) {
	atHome, away := scsi.Optimized, scsi.NonOptimized
	switch p {
	case NearOther:
		atHome, away = away, atHome
	case NearBoth:
		away = scsi.Optimized
	}
	if g.cfg.Policy.Home == g.cfg.Self {
		return atHome, away
	}
	return away, atHome
}

// alike is the set of paths for each proximity.
type alike [proximities]*scsi.Paths

// proximity returns that of an initiator.
func (g *Group) proximity(initiator string) Proximity {
	if m := g.hosts.Load(); m != nil {
		return (*m)[initiator]
	}
	return NearHome
}
