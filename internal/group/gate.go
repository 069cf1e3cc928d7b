// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// gateState is what hosts may do through this array now.
type gateState uint8

const (
	// gateHold: undecided or about to be; commands wait, then get BUSY.
	gateHold gateState = iota
	// gateServe: this array owns the group and serves it.
	gateServe
	// gateStandby: the other array serves; this one answers as a standby path.
	gateStandby
	// gateLost: the other array serves without this one, or may.
	gateLost
	// gateShare: the other array orders the group, and this one serves it too.
	gateShare
)

// gate is one unbroken stretch of a state; a reader that finds the same gate
// before and after, and the same lease period, has read in one stretch.
type gate struct {
	state gateState
	role  arb.Role
	grant uint64
	epoch array.Epoch
}

// state computes the gate from the cores.
func (g *Group) state() gateState {
	switch {
	case g.failed != nil && !g.superseded:
		return gateHold
	case g.view.Role == arb.Out || g.superseded:
		if g.contact {
			return gateStandby
		}
		return gateLost
	}
	switch g.view.Role {
	case arb.Alone:
		if g.core.Ready() && g.caughtUp() {
			return gateServe
		}
	case arb.Paired:
		switch {
		case !g.core.Met():
		case g.shares():
			return gateShare
		case !g.cfg.Policy.ActiveActive && g.core.Owner() != g.cfg.Self && g.core.CommittedOwner() != g.cfg.Self:
			return gateStandby
		case g.core.Ready() && g.caughtUp() && g.switching == nil:
			if _, ok := g.leaseFor(arb.Paired, g.theirGrant); ok {
				return gateServe
			}
		}
	}
	return gateHold
}

// caughtUp reports whether all that was committed before the open term is applied.
// Commits within the term are applied before they are answered anyway.
func (g *Group) caughtUp() bool {
	s := g.core.Segments()
	return len(s) < 2 || g.applied >= s[len(s)-2].Last
}

// setGate publishes the state to readers and lets the held ones go on.
func (g *Group) setGate() {
	n := gate{state: g.state(), role: g.view.Role, grant: g.theirGrant, epoch: g.view.Epoch}
	old := g.gate.Load()
	if old != nil && *old == n {
		return // without garbage: this is done at every turn
	}
	fresh := n
	g.gate.Store(&fresh)
	if n.state != gateHold {
		g.served = n.state == gateServe || n.state == gateShare
	}
	if old == nil || old.state != n.state {
		g.notifyPaths()
	}
	g.place()
	for _, u := range g.units {
		u.retryReads()
	}
}

// shut stops serving at once, before anything that rests on it leaves; setGate
// opens again what may be open.
func (g *Group) shut() {
	if old := g.gate.Load(); old != nil && (old.state == gateServe || old.state == gateShare) {
		g.gate.Store(&gate{state: gateHold, role: g.view.Role, epoch: g.view.Epoch})
	}
}

// valid reports whether gt allows serving right now, and in which lease period.
func (g *Group) valid(gt *gate) (uint64, bool) {
	if gt == nil || gt.state != gateServe && gt.state != gateShare || g.gate.Load() != gt {
		return 0, false
	}
	return g.leaseFor(gt.role, gt.grant)
}

func (g *Group) refusal(st gateState) error {
	if st == gateLost {
		return array.Errorf(array.Unavailable, "%s is served by the other array", g.what())
	}
	return array.Errorf(array.Standby, "%s is served by the other array", g.what())
}
