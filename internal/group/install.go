// SPDX-License-Identifier: Apache-2.0

package group

import (
	"slices"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// A change of reservations is answered when both arrays have installed it: from then on
// neither lets through what it forbids.

// install is a change that this array has installed, and the other may not have.
type install struct {
	place array.Place
	work  *work
}

// answer answers the command of a record that was just applied.
func (g *Group) answer(e *entry) {
	if e.work.request == nil {
		e.work.finish(nil)
		return
	}
	g.installs = append(g.installs, install{e.pos.Place, e.work})
	g.settleInstalls()
}

// installing reports whether a change of a unit's reservations waits for the other array.
func (g *Group) installing(u *Unit) bool {
	return slices.ContainsFunc(g.installs, func(i install) bool { return i.work.unit == u })
}

// settleInstalls answers what both have, and what one is left to heed: alone this array
// has it installed, and the other one, if it goes on alone, applies it before it serves,
// for it is committed. While it is undecided the other may still serve without it.
func (g *Group) settleInstalls() {
	one := g.view.Role == arb.Alone || g.view.Role == arb.Out
	for len(g.installs) > 0 && (one || g.peerApplied >= g.installs[0].place) {
		w := g.installs[0].work
		g.installs = append(g.installs[:0], g.installs[1:]...)
		w.finish(nil)
	}
}

func (g *Group) endInstalls(err error) {
	for _, i := range g.installs {
		i.work.finish(err)
	}
	g.installs = nil
}
