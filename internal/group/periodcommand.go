// SPDX-License-Identifier: Apache-2.0

package group

import (
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// PeriodInfo is how a periodic group stands; of another it is empty.
type PeriodInfo struct {
	Period time.Duration
	// At and Place are the newest point that the other array has, or, on an array that is
	// not a member, this one; none if At is zero.
	At    time.Time
	Place array.Place
	// Sending: a point is on its way; Sent pages of it arrived.
	Sending bool
	Sent    int64
	// Late: the period is not kept. Trouble says why the last point was not sent, Awaits
	// why none is taken.
	Late            bool
	Trouble, Awaits string
}

func (g *Group) periodInfo() PeriodInfo {
	if !g.periodic() {
		return PeriodInfo{}
	}
	p := &g.period
	i := PeriodInfo{Period: g.cfg.Policy.Period}
	if g.Out() {
		i.Sending = g.taking != nil
		i.Sent = g.takingPut()
		if g.stands() {
			i.At, i.Place = time.Unix(0, g.turned.Time), g.turned.Place
		}
		return i
	}
	if p.kept.Done != nil {
		i.At, i.Place = p.kept.Done.when(), p.kept.Done.Place
	}
	i.Sending, i.Late, i.Trouble, i.Awaits = p.run != nil, p.late, p.trouble, g.pointAwaits()
	if p.run != nil {
		i.Sent = p.run.written()
	}
	return i
}

// stands reports whether this copy is at the point that it turned to last.
func (g *Group) stands() bool { return g.turned.Done && g.turned.Place == g.applied }

// SyncNow takes a point of a periodic group at once. The place that it returns is before the
// point's: the other array has it when PeriodInfo.Place is beyond.
func (g *Group) SyncNow() (array.Place, error) {
	var after array.Place
	var err error
	if e := g.ask(func() {
		if !g.periodic() {
			err = array.Errorf(array.Conflict, "%s is not periodic", g.what())
			return
		}
		if g.view.Role != arb.Alone {
			err = array.Errorf(array.Conflict, "%s is not served here alone", g.what()).Because(array.ServedElsewhere)
			return
		}
		g.period.asked, g.period.retryAt, g.period.trouble = true, time.Time{}, ""
		after = g.core.End().Place
	}); e != nil {
		return 0, e
	}
	return after, err
}

// HandOver lets the other array of a periodic group become a member, so that the group can
// be switched over to it; or ends that. Afterwards whoever owns the group leaves the other
// out again.
func (g *Group) HandOver(on bool) error {
	var err error
	if e := g.ask(func() {
		p := &g.period
		switch {
		case !on:
			p.handing = false
			if g.view.Role == arb.Alone {
				g.cursor = 0
				g.stopCopy()
				g.newStretch()
			}
		case !g.periodic():
			err = array.Errorf(array.Conflict, "%s is not periodic", g.what())
		case p.run != nil || p.busy || p.kept.Pending != nil:
			err = array.Errorf(array.Busy, "%s: a point is on its way to the other array: try again", g.what())
		default:
			p.handing, p.handUntil = true, g.cfg.Now().Add(handWithin)
			g.newStretch()
		}
	}); e != nil {
		return e
	}
	return err
}

// Out reports whether this array is not a member of the group. It does not wait.
func (g *Group) Out() bool { return g.out.Load() }
