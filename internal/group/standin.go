// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/scsi"
)

// ServesAlone reports whether this array serves the group alone, by its record.
func (g *Group) ServesAlone() bool {
	gt := g.gate.Load()
	return gt != nil && gt.role == arb.Alone && gt.state == gateServe
}

// StandIn says that hosts reach this array at the other's ports, too, or no longer do. As
// long as it serves alone those are as good as its own.
func (g *Group) StandIn(on bool) {
	g.post(func() {
		if g.standIn == on {
			return
		}
		g.standIn = on
		g.notifyPaths()
		for _, u := range g.units {
			u.tell(scsi.Notice{Kind: scsi.PathsChanged})
		}
	})
}

// MayServe reports whether hosts may be served through this array now, or as soon as it is
// decided: only one that knows that the other array serves alone says no.
func (g *Group) MayServe() bool {
	gt := g.gate.Load()
	return gt != nil && gt.state != gateStandby && gt.state != gateLost
}
