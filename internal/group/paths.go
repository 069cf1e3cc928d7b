// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
)

// pathStates returns the access states of this array's and the other's ports, for hosts
// of a proximity.
func (g *Group) pathStates(p Proximity) (mine, theirs scsi.PathState) {
	both := g.cfg.Policy.ActiveActive && (g.view.Role == arb.Paired && g.contact || g.undecided())
	switch g.state() {
	case gateServe:
		if both {
			return g.near(p)
		}
		mine, theirs = scsi.Optimized, scsi.Standby
	case gateShare:
		return g.near(p)
	case gateStandby:
		mine, theirs = scsi.Standby, scsi.Optimized
	case gateLost:
		mine, theirs = scsi.Unavailable, scsi.Optimized
		if g.cfg.Policy.PermanentLoss && g.cfg.Policy.ActiveActive {
			mine = scsi.Lost
		}
	default:
		if both {
			return g.near(p) // as before and after
		}
		// Short: commands are held, and reporting a transition would make Linux wait
		// for two seconds.
		// Of the other's ports only its own word counts: it may be serving.
		mine, theirs = scsi.Standby, scsi.Optimized
		// An owner that stays undecided lets its hosts look there. One that was just opened, and
		// whose record names nobody else, is the owner in a moment.
		owns := g.core.Owner() == g.cfg.Self && g.view.Members.Has(g.cfg.Self)
		if (owns || g.m.Stored().Current.Members == array.Only(g.cfg.Self)) && !g.heldLong(g.cfg.Now()) {
			mine, theirs = scsi.Optimized, scsi.Standby
		}
		return mine, theirs
	}
	if theirs != scsi.Optimized && !g.contact {
		if theirs = scsi.Unavailable; g.standIn && mine == scsi.Optimized {
			theirs = mine // they lead here
		}
	}
	return mine, theirs
}

// undecided reports whether this array served hosts until a moment ago, or still does, and may
// know in a moment that it goes on. Hosts' multipath software would take its paths out for
// seconds if they were worse meanwhile, and with them what is left if the other array is lost.
// Commands are held for as long, and then answered BUSY.
func (g *Group) undecided() bool {
	if !g.served || g.failed != nil || g.gaveUp || g.aside.on {
		return false
	}
	return g.view.Role == arb.Paired || g.view.Role == arb.Held && !g.heldLong(g.cfg.Now())
}

// notifyPaths publishes the path states and tells the hosts if they changed.
func (g *Group) notifyPaths() {
	var a alike
	for p := range a {
		a[p] = g.pathsFor(Proximity(p))
	}
	for _, u := range g.units {
		u.setPaths(&a)
	}
}

func (g *Group) pathsFor(near Proximity) *scsi.Paths {
	mine, theirs := g.pathStates(near)
	self := int(g.cfg.Self)
	p := &scsi.Paths{Local: self, Groups: make([]scsi.PortGroup, 2)}
	for i := range p.Groups {
		p.Groups[i] = scsi.PortGroup{ID: uint16(i + 1), State: theirs, Ports: g.cfg.Ports[i]}
	}
	p.Groups[self].State = mine
	for i := range p.Groups {
		p.Groups[i].Preferred = p.Groups[i].State == scsi.Optimized
	}
	if g.cfg.Peer == nil {
		p.Local, p.Groups = 0, p.Groups[self:self+1]
	}
	return p
}

// SetHosts says which paths hosts are to prefer, by the initiators' node names.
func (g *Group) SetHosts(near map[string]Proximity) {
	g.post(func() {
		g.hosts.Store(&near)
		g.notifyPaths()
		for _, u := range g.units {
			u.tell(scsi.Notice{Kind: scsi.PathsChanged})
		}
	})
}
