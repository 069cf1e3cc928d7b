// SPDX-License-Identifier: Apache-2.0

package group

import (
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// An array that has no room, in its journal or for what is to go on pages, can't
// take part: while it is a member, nothing is committed. After a while it says so
// and lets the other go on without it; when there is room again, it returns.

// starvedFor is how long a member may be without room.
const starvedFor = 3 * time.Second

// noRoom notes that a record could not be taken or placed for want of room.
func (g *Group) noRoom() {
	if g.starved.IsZero() {
		g.starved = g.cfg.Now()
	}
}

// hasRoom notes that one could.
func (g *Group) hasRoom() { g.starved = time.Time{} }

// checkRoom gives up, or returns.
func (g *Group) checkRoom(now time.Time) {
	switch {
	case g.cfg.Peer == nil || g.failed != nil:
	case g.gaveUp:
		total, room := g.cfg.Space.Usage()
		if room < total/4 || !g.cfg.Pages.Room(block.MaxIO) {
			return
		}
		g.gaveUp = false
		g.hasRoom()
		g.event("there is room again; this array takes part again")
		var out arb.Output
		g.tellStuck(&out)
		g.carry(&out)
		g.lostContact()
		g.greet()
	case g.view.Role == arb.Paired && g.core.Met() && !g.starved.IsZero() && now.Sub(g.starved) > starvedFor:
		g.gaveUp = true
		g.shut()
		g.alarm("this array has had no room for the group's writes for seconds, in its journal or in a CPG; it lets the other array go on without it")
		var out arb.Output
		g.tellStuck(&out)
		g.carry(&out)
		g.sayFailed()
	}
}

// lateError is for a command that could not be placed in time.
func (g *Group) lateError(now time.Time) error {
	// Beside the other array it is no error of the host's: that one goes on soon.
	if g.view.Role == arb.Alone && !g.starved.IsZero() && now.Sub(g.starved) > starvedFor {
		return array.Errorf(array.Full, "%s: there is no room for the write, in the journal or in a CPG", g.what())
	}
	return array.Errorf(array.Busy, "%s: %s", g.what(), g.m.Reason())
}
