// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// An array that can't read a page, and can have it in no way from the other array,
// which holds all, is of no use as a member: a host would meet an error here that it
// would not meet there. It stands aside for the whole group, as one whose journal is
// stuck does, and comes back when the page is healed.

// aside is that this array stands aside.
type aside struct {
	on   bool
	page damage
	next time.Time // when the page is tried again
}

// asideAgain is how long after one attempt to heal the page the next one comes.
const asideAgain = 5 * time.Second

func (g *Group) standAside(h *heal, why error) {
	g.aside = aside{on: true, page: h.damage, next: g.cfg.Now().Add(asideAgain)}
	g.shut()
	g.alarm(fmt.Sprintf("this array can't read page %d of volume %s, and can't repair it; it lets the other array go on without it: %v", h.page, h.unit.id.Name, why))
	var out arb.Output
	g.tellStuck(&out)
	g.carry(&out)
	g.sayFailed()
}

// checkAside tries the page again, and returns when it is as it was written.
func (g *Group) checkAside(now time.Time) {
	if !g.aside.on || g.failed != nil || now.Before(g.aside.next) {
		return
	}
	g.aside.next = now.Add(asideAgain)
	g.startHeal(g.aside.page.volume, g.aside.page.page, func(page []byte, err error) {
		// A volume that is gone has no page to wait for.
		if page != nil || err != nil && g.units[g.aside.page.volume] != nil {
			return
		}
		g.aside = aside{}
		g.event("the page is repaired; this array takes part again")
		var out arb.Output
		g.tellStuck(&out)
		g.carry(&out)
		g.lostContact()
		g.greet()
	})
}
