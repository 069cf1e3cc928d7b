// SPDX-License-Identifier: Apache-2.0

package group

import arb "github.com/perdure/perdure/internal/arbitration"

// fail: the journal or the store refuses; this array can't take part in the group
// until it is started again, and says so, so that the other goes on.
func (g *Group) fail(err error) {
	if g.failed != nil {
		return
	}
	g.failed = err
	g.shut()
	g.cfg.Logger.Error("group fails", "group", g.cfg.Name, "err", err)
	g.alarm("this array can't take part any more: " + err.Error())
	var out arb.Output
	g.tellStuck(&out)
	g.carry(&out)
	g.sayFailed()
}

// failedForGood, as Offset of a PacketFailed, says that this process will not serve
// the group again: no lease that it holds counts for the group any more.
const failedForGood = 1

// sayFailed is this half's word that it serves no more, whatever leases it holds.
// It comes after the gate is shut.
func (g *Group) sayFailed() {
	if (g.failed != nil || g.gaveUp || g.aside.on) && g.contact {
		p := Packet{Type: PacketFailed}
		if g.failed != nil {
			p.Offset = failedForGood
		}
		g.sends = append(g.sends, p)
	}
}
