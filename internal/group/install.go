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
	if e.work.request != nil && g.view.Role != arb.Alone && g.peerApplied < e.pos.Place {
		g.installs = append(g.installs, install{e.pos.Place, e.work})
		return
	}
	e.work.finish(nil)
}

// installing reports whether a change of a unit's reservations waits for the other array.
func (g *Group) installing(u *Unit) bool {
	return slices.ContainsFunc(g.installs, func(i install) bool { return i.work.unit == u })
}

// settleInstalls answers what both have, or what concerns this array alone. While it is
// undecided the other one may still serve.
func (g *Group) settleInstalls() {
	if g.view.Role == arb.Out {
		g.endInstalls(g.refusal(gateStandby))
	}
	for len(g.installs) > 0 && (g.view.Role == arb.Alone || g.peerApplied >= g.installs[0].place) {
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
