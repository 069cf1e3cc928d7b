// SPDX-License-Identifier: Apache-2.0

package group

import (
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
)

// switchover is a planned change of owner under way: new commands are held, what
// has a place drains, and one entry hands the order over.
type switchover struct {
	done  func(error)
	epoch array.Epoch
}

// switchWithin is how long a person waits for the outcome of a switchover.
const switchWithin = 30 * time.Second

// Switchover hands the group to the other array. It waits for the outcome. An error of
// kind Busy says that it may be done in a moment, or is still under way.
func (g *Group) Switchover() error {
	result := make(chan error, 1)
	if !g.post(func() { g.startSwitch(func(err error) { result <- err }) }) {
		return array.Errorf(array.Conflict, "%s is closed", g.what())
	}
	select {
	case err := <-result:
		return err
	case <-time.After(switchWithin):
		return array.Errorf(array.Busy, "%s: the switchover is still under way: the other array's journal does not answer", g.what())
	}
}

func (g *Group) startSwitch(done func(error)) {
	switch {
	case g.rivals() || g.m.Reason() == arb.ReasonSplit:
		done(array.Errorf(array.Conflict, "%s can't be switched over: the other array holds a lineage of its own: %s", g.what(), g.chooses()).Because(array.NotSynced))
	case g.view.Role != arb.Paired || !g.core.Met():
		done(array.Errorf(array.Conflict, "%s can't be switched over: %s", g.what(), g.noSecond()).Because(array.NotSynced))
	case g.core.Owner() == g.cfg.Self && !g.core.Ready() && g.switching == nil:
		done(array.Errorf(array.Busy, "%s can't be switched over this moment: the arrays are comparing their logs; try again", g.what()))
	case g.core.Owner() != g.cfg.Self:
		done(array.Errorf(array.Conflict, "%s can't be switched over from here: the other array serves it", g.what()).Because(array.ServedElsewhere))
	case !g.m.Inputs().Synced && g.m.Stored().Current.Rule != arb.Majority:
		done(array.Errorf(array.Busy, "%s can't be switched over this moment: the other copy is still catching up; try again", g.what()).Because(array.NotSynced))
	case g.theirChange != g.change:
		done(array.Errorf(array.Busy, "%s can't be switched over this moment: the other array has not taken what the group is now", g.what()))
	case g.switching != nil:
		done(array.Errorf(array.Conflict, "%s is being switched over already", g.what()))
	case !g.cfg.Space.Reserve(noteCost(note{Type: noteOwner, Owner: 1})):
		done(array.Errorf(array.Full, "%s can't be switched over: the journal is full", g.what()))
	default:
		g.switching = &switchover{done: done, epoch: g.view.Epoch}
		g.placeOwner(g.cfg.Self.Other())
		g.saveSegments()
		e := g.tail[len(g.tail)-1]
		e.then = func() {
			// What is committed in the epoch holds, also while neither array acts on the record for
			// a moment because who decides is being changed.
			if g.applied < e.pos.Place || g.switching == nil || g.view.Epoch != g.switching.epoch {
				g.endSwitch(array.Errorf(array.Conflict, "%s was not switched over: the other array was lost meanwhile", g.what()))
				return
			}
			g.endSwitch(nil)
		}
	}
}

// noSecond says why the other array can't be given the group.
func (g *Group) noSecond() string {
	switch {
	case g.state() != gateServe && !g.contact && g.view.Role != arb.Alone:
		return fmt.Sprintf("this array does not serve it (%s), and the other one does not answer", g.m.Reason())
	case !g.contact:
		return "the other array does not answer"
	case g.stopped:
		return fmt.Sprintf("it is stopped: 'startrcopygroup %s' first", g.cfg.Name)
	}
	return "the other array's copy is not in sync"
}

func (g *Group) endSwitch(err error) {
	s := g.switching
	if s == nil {
		return
	}
	g.switching = nil
	if err == nil {
		g.event("switched over to the other array")
	}
	s.done(err)
}
