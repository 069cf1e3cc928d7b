// SPDX-License-Identifier: Apache-2.0

package group

import (
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
)

// A group that both serve may be owned by the array through which its writes come: that
// saves both arrays the work of passing them on. With the policy for it, an owner that
// sees nearly all writes come from the other array, for a while, hands the group over.

const (
	// balanceEvery is how long writes are counted before they are compared, balanceLeast
	// how many of the other array's must have come for it to matter.
	balanceEvery = 10 * time.Second
	balanceLeast = 500
	// balanceTimes is how often in a row it must be so.
	balanceTimes = 3
	// balanceRest is how long a group that came here stays.
	balanceRest = 2 * time.Minute
)

// balance counts the writes that were placed here, since a time, by where they came from.
type balance struct {
	own, foreign int
	since        time.Time
	times        int
	// came is when this array became the owner, or last tried to hand the group over.
	came time.Time
}

// checkBalance hands a shared group over to where its writes come from.
func (g *Group) checkBalance(now time.Time) {
	b := &g.balance
	if !g.cfg.Policy.FollowWrites || !g.cfg.Policy.ActiveActive || g.core.Owner() != g.cfg.Self || b.came.IsZero() {
		*b = balance{since: now, came: now}
		return
	}
	if now.Sub(b.since) < balanceEvery || g.state() != gateServe || g.view.Role != arb.Paired {
		return
	}
	if mostly := b.foreign >= balanceLeast && b.foreign >= 4*b.own; mostly {
		b.times++
	} else {
		b.times = 0
	}
	b.own, b.foreign, b.since = 0, 0, now
	if b.times < balanceTimes || now.Sub(b.came) < balanceRest {
		return
	}
	b.times, b.came = 0, now
	g.startSwitch(func(err error) {
		if err != nil {
			g.cfg.Logger.Info("not handed over to where its writes come from", "group", g.cfg.Name, "err", err)
			return
		}
		g.event("nearly all writes come through the other array, which owns the group from now on")
	})
}
