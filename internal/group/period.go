// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// period is a periodic group at its source: when points are taken, and what keeps them.
type period struct {
	kept points
	run  *pointRun
	// busy: an entry of a point is on its way, or snapshots are being removed.
	busy bool
	next time.Time // when the next point is due
	// asked: a person wants one now.
	asked   bool
	trouble string // why the last one was not sent
	retryAt time.Time
	late    bool // that the period is not kept was told
	// handing: the other array is to become a member for a moment, until then.
	handing   bool
	handUntil time.Time
	partAt    time.Time
}

const (
	// pointAgain is how long after a refusal a point is sent again.
	pointAgain = 5 * time.Second
	// handWithin is how long the other array may be a member without being handed the group.
	handWithin = 15 * time.Minute
)

func (g *Group) periodic() bool {
	return g.cfg.Policy.Period > 0 && g.cfg.Peer != nil && g.cfg.Points != nil
}

// apart reports whether the other array gets points of this one, and no records.
func (g *Group) apart() bool { return g.periodic() && !g.period.handing && g.view.Role == arb.Alone }

// checkPeriod takes and sends points when they are due.
func (g *Group) checkPeriod(now time.Time) {
	p := &g.period
	if p.handing && now.After(p.handUntil) {
		p.handing = false
	}
	g.dropForeign()
	if !g.periodic() || g.view.Role == arb.Out && g.core.Met() {
		g.dropPoints() // nobody will ask for them
		return
	}
	if g.view.Role == arb.Out {
		return
	}
	g.partAgain(now)
	g.watchPeriod()
	if !p.busy && (p.kept.Done != nil || p.kept.Pending != nil) && g.cfg.Points.Short() {
		g.giveWay()
		return
	}
	if p.run != nil && g.stopped {
		g.endPointRun() // it goes on when the group is started
	}
	if p.run != nil {
		g.checkPointRun(now)
		return
	}
	if p.busy || now.Before(p.retryAt) || g.pointAwaits() != "" {
		return
	}
	switch {
	case g.cfg.Points.Short():
		g.pointTrouble("this array's CPG is short of room, and a point would take some")
	case p.kept.Pending != nil:
		g.sendPoint(now)
	case p.asked || !now.Before(p.next):
		g.takePoint(now)
	}
}

// pointAwaits says why no point is taken or sent, "" if one can be.
func (g *Group) pointAwaits() string {
	switch {
	case g.stopped:
		return "the group is stopped"
	case g.period.handing:
		return "the group is being handed over"
	case g.state() != gateServe || g.view.Role != arb.Alone:
		return "this array does not serve the group alone"
	case !g.contact:
		return "the other array is not in contact"
	case g.theirChange != g.change:
		return "the other array does not have the group's newest description"
	case !g.core.Met():
		return "the logs were not compared"
	case len(g.allUnits()) == 0:
		return "it has no volumes"
	}
	return ""
}

// takePoint logs one, after snapshots that an earlier one left are gone.
func (g *Group) takePoint(now time.Time) {
	p := &g.period
	units := g.allUnits()
	if len(units) > MaxSnapshots {
		g.pointTrouble(fmt.Sprintf("it has %d volumes, and a point is of %d at most", len(units), MaxSnapshots))
		return
	}
	mark := pointMark{Owner: g.cfg.Self, Time: g.clock().UnixNano(), Tag: nonce(), Slot: p.kept.slotFor()}
	n := note{Type: notePoint, Point: &mark}
	var old []array.VolumeID
	for _, u := range units {
		id := array.PointID(u.id.Volume, mark.Slot)
		n.Snapshots = append(n.Snapshots, Snapshot{Of: u.id.Volume, ID: id})
		old = append(old, id)
	}
	p.next = now.Add(g.cfg.Policy.Period)
	g.offPoints(func() error { return g.cfg.Points.Drop(g.cfg.ID, old...) }, func() {
		p.busy, p.asked = true, false
		mark.Time = g.clock().UnixNano()
		g.placeNote(n, func() error { return nil }, func(err error) {
			p.busy = false
			if err != nil {
				g.pointTrouble(err.Error())
			}
		})
	})
}

// offPoints does work on snapshots outside the loop, and then goes on in it.
func (g *Group) offPoints(work func() error, then func()) {
	g.period.busy = true
	go func() {
		err := work()
		g.post(func() {
			g.period.busy = false
			if err != nil {
				g.pointTrouble(err.Error())
				return
			}
			if then != nil {
				then()
			}
		})
	}()
}

// pointTrouble: the point is tried again later; what hosts have is not touched.
func (g *Group) pointTrouble(why string) {
	p := &g.period
	p.retryAt = g.cfg.Now().Add(pointAgain)
	if p.trouble != why {
		p.trouble = why
		g.alarm("the other array does not get its point: " + why)
	}
}

// giveWay: room is short here. What points hold is given back to hosts; the next one is
// sent from where the other array stands, by the births of pages.
func (g *Group) giveWay() {
	g.pointTrouble("this array's CPG is short of room: what points held is given back")
	g.forgetPoints()
}

// forgetPoints gives up both points of this source. What the other array has stays.
func (g *Group) forgetPoints() {
	p := &g.period
	g.endPointRun()
	snaps := append(p.kept.Done.snaps(), p.kept.Pending.snaps()...)
	p.kept = points{}
	if err := g.keepFact(factPoints, p.kept); err != nil {
		g.fail(err)
		return
	}
	g.offPoints(func() error { return g.cfg.Points.Drop(g.cfg.ID, snaps...) }, nil)
}

// dropPoints: a group that is not periodic any more has none.
func (g *Group) dropPoints() {
	p := &g.period
	if g.cfg.Points == nil || p.busy || p.kept.Done == nil && p.kept.Pending == nil {
		return
	}
	g.forgetPoints()
}

// pointDone: the other array stands at the point that was sent.
func (g *Group) pointDone(r *pointRun) {
	p := &g.period
	g.endPointRun()
	if p.kept.Pending == nil || p.kept.Pending.Tag != r.p.Tag {
		return
	}
	old := p.kept.Done
	p.kept = points{Done: p.kept.Pending}
	if err := g.keepFact(factPoints, p.kept); err != nil {
		g.fail(err)
		return
	}
	if p.trouble != "" {
		g.event("the other array has its point again")
	}
	p.trouble = ""
	g.core.PeerRebased(r.p.Place)
	if old != nil {
		g.offPoints(func() error { return g.cfg.Points.Drop(g.cfg.ID, old.snaps()...) }, nil)
	}
}

// watchPeriod tells once when what the other array has is older than two periods: sending
// takes longer than one, or is not possible.
func (g *Group) watchPeriod() {
	p := &g.period
	if p.kept.Done == nil || g.stopped || g.view.Role != arb.Alone || !g.cfg.Policy.OverPeriodAlert {
		p.late = false
		return
	}
	age := g.clock().Sub(p.kept.Done.when())
	late := age > 2*g.cfg.Policy.Period
	if late && !p.late {
		why := g.pointAwaits()
		if why == "" {
			why = p.trouble
		}
		if why == "" {
			why = "sending takes longer"
		}
		g.alarm(fmt.Sprintf("over_per_alert: the period of %v is not kept; the other array has the state of %s: %s",
			g.cfg.Policy.Period, p.kept.Done.when().Format(time.DateTime), why))
	}
	if !late && p.late {
		g.event("the period is kept again")
	}
	p.late = late
}

// partAgain leaves the other array out again after it was a member for a moment: the group
// was handed over, or became periodic.
func (g *Group) partAgain(now time.Time) {
	rec := g.m.Stored().Current
	if g.view.Role != arb.Paired || g.period.handing || g.core.Owner() != g.cfg.Self || !g.core.Ready() ||
		rec.Rule != arb.Majority && !rec.DecidedBy(g.cfg.Self) || now.Before(g.period.partAt) {
		return
	}
	g.period.partAt = now.Add(retryAfter)
	var out arb.Output
	g.m.Part(nonce(), &out)
	g.carry(&out)
}
