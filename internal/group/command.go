// SPDX-License-Identifier: Apache-2.0

package group

import (
	"errors"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/replication"
)

// Info is the group as it is now, for people and the faces.
type Info struct {
	ID      array.GroupID
	Name    string
	Self    array.Side
	View    arb.View
	Record  arb.Record
	Reason  string
	Inputs  arb.Inputs
	Owner   array.Side
	Serving bool
	// Sharing: the other array owns the group, and this one serves it too.
	Sharing bool
	Contact bool
	End     array.Position
	Commit  array.Place
	// Kept is the place below which the log can't be cut here: Commit, or what is on pages.
	Kept    array.Place
	Peer    array.Place
	Applied array.Place
	// Met: the logs were compared in this contact. Ready: this array owns the group and
	// its term is open.
	Met, Ready bool
	// Alike: the other array has the same description of the group.
	Alike     bool
	Syncing   bool
	Synced    bool
	Stopped   bool
	Switching bool
	// Change names the description that is here, which the other array has if they are Alike.
	Change uint64
	// Unheard: nothing more is applied, for what is next is of a volume that was never described here.
	Unheard bool
	// Split: the arrays hold lineages of which neither follows the other.
	Split bool
	// Rival says so at the array whose lineage goes on, and what is to be done.
	Rival     string
	Decisions []arb.Decision
	Segments  []replication.Segment
	// Copy says how filling or copying the other array, or this one, stands.
	Copy string
	// Filled is how far that is.
	Filled progress.Amount
	// Period is of a periodic group.
	Period PeriodInfo
}

// Info waits for the loop.
func (g *Group) Info() (Info, error) {
	var i Info
	err := g.ask(func() {
		in := g.m.Inputs()
		rec := g.m.Stored().Current
		i = Info{
			ID: g.cfg.ID, Name: g.cfg.Name, Self: g.cfg.Self, View: g.view, Record: rec, Inputs: in,
			Owner: g.core.Owner(), Serving: g.state() == gateServe, Sharing: g.state() == gateShare, Contact: g.contact, End: g.core.End(),
			Commit: g.core.Commit(), Kept: g.core.Kept(), Peer: g.core.Peer(), Applied: g.applied, Stopped: g.stopped,
			Met: g.core.Met(), Ready: g.core.Ready(), Alike: g.alike(), Change: g.change, Switching: g.switching != nil, Unheard: g.stuckUnheard, Decisions: append([]arb.Decision(nil), g.decisions...),
			Segments: append([]replication.Segment(nil), g.core.Segments()...),
		}
		i.Syncing = g.copying != nil || g.filling != nil || g.rebuild != nil || g.view.Role == arb.Alone && g.core.Met()
		i.Synced = rec.Members == array.Both && g.view.Role == arb.Paired && (in.Synced || rec.Rule == arb.Majority || rec.DecidedBy(g.cfg.Self.Other()))
		i.Copy, i.Filled = g.copyState(), g.filled()
		i.Period = g.periodInfo()
		if r := g.m.Reason(); r != 0 {
			i.Reason, i.Split = r.String(), r == arb.ReasonSplit
		}
		if i.Split {
			i.Reason += ": " + g.chooses()
		}
		if g.rivals() {
			i.Rival = "the other array holds a lineage of its own, " + g.theirRecord.String() + ": " + g.chooses()
		}
	})
	return i, err
}

// Policy is what a group does by itself.
type Policy struct {
	// AutoFailover: a side that does not own the group may go on alone.
	AutoFailover bool
	// WitnessStarted: the witness may be used.
	WitnessStarted bool
	// Prefer names the side that goes on where either could, while the witness counts; with
	// none that is the owner.
	Prefer array.Members
	// ActiveActive: the array that does not own the group serves it too.
	ActiveActive bool
	// FollowWrites: the array through which nearly all writes come is to own the group.
	FollowWrites bool
	// PermanentLoss: while the other array serves alone and can't be reached, hosts are
	// told that the unit is gone for good here, so that clusters start their machines
	// elsewhere by themselves.
	PermanentLoss bool
	// Period, if it is not 0, makes the group periodic: it has one member, and the other
	// array gets its points so often. OverPeriodAlert tells when that is not kept.
	Period          time.Duration
	OverPeriodAlert bool
	// Home is the group's home array, to which proximities refer.
	Home array.Side
	// AutoRecover takes the other array back after the owner went on without it,
	// AutoSynchronize after this side took over.
	AutoRecover, AutoSynchronize bool
}

// SetPolicy changes what the group does by itself.
func (g *Group) SetPolicy(p Policy) {
	g.post(func() {
		turns := (g.cfg.Policy.Period > 0) != (p.Period > 0)
		g.cfg.Policy = p
		if turns && (g.view.Role == arb.Alone || g.view.Role == arb.Out) {
			g.cursor = 0
			g.stopCopy()
			g.newStretch() // the other array is filled in another way from now on
		}
		g.m.SetPolicy(p.AutoFailover, p.WitnessStarted, p.Prefer)
		g.notifyPaths()
	})
}

// keepApart stops replication after a failure if the policies say so.
func (g *Group) keepApart(d arb.Decision) {
	if d.To.Members != array.Only(g.cfg.Self) || d.From.Members != array.Both || d.Reason == arb.ReasonPart {
		return
	}
	tookOver := d.Inputs.Owner != g.cfg.Self
	if tookOver && !g.cfg.Policy.AutoSynchronize || !tookOver && !g.cfg.Policy.AutoRecover {
		g.stopped = true
		g.alarm("replication stays stopped: the group's policies leave the return of the other array to a person")
	}
}

// Stop makes this side, the owner, go on alone: replication stops.
func (g *Group) Stop() error {
	var err error
	if e := g.ask(func() {
		if g.view.Role == arb.Alone {
			g.stopped = true
			return
		}
		if g.view.Role == arb.Held && g.core.Owner() == g.cfg.Self {
			err = array.Errorf(array.Busy, "%s is served by nobody at this moment: try again", g.what())
			return
		}
		if g.view.Role != arb.Paired || g.core.Owner() != g.cfg.Self {
			why := "the other array serves it"
			if !g.contact {
				why = fmt.Sprintf("this array does not serve it (%s), and the other one does not answer", g.m.Reason())
			}
			err = array.Errorf(array.Conflict, "%s can't be stopped from here: %s", g.what(), why).Because(array.ServedElsewhere)
			return
		}
		g.stopped = true
		var out arb.Output
		g.m.Part(nonce(), &out)
		g.carry(&out)
	}); e != nil {
		return e
	}
	return err
}

// retireWithin is how long Retire waits for what is under way.
const retireWithin = 10 * time.Second

// Retire closes the group when what has a place in it has ended. What comes meanwhile is
// held, and answered BUSY in the end, as if it had come a moment later. An error says that
// the group goes on: something under way takes too long.
func (g *Group) Retire() error {
	quiet := make(chan struct{})
	if err := g.ask(func() { g.retiring, g.retired = quiet, false }); err != nil {
		return err
	}
	select {
	case <-quiet:
		g.Close()
		return nil
	case <-time.After(retireWithin):
	}
	err := array.Errorf(array.Busy, "%s: writes under way take longer than %v: try again", g.what(), retireWithin)
	return errors.Join(err, g.ask(func() { g.retiring = nil }))
}

// checkRetiring tells who waits that nothing is under way any more.
func (g *Group) checkRetiring() {
	if g.retiring != nil && !g.retired && len(g.tail) == 0 && len(g.busy) == 0 && len(g.installs) == 0 {
		g.retired = true
		close(g.retiring)
	}
}

// Leaving: this array is about to leave. If it may go on alone and the other one owns the group, it
// hands that over as soon as both know the owner: who stays would be barred without a witness.
func (g *Group) Leaving() error { return g.ask(func() { g.leaving = true }) }

// LetGo records the other array out because it says that it leaves, with its vote
// and without waiting for its silence. It may come back by itself. It is said again until the
// record names this array alone: the other one may have to hand over first what lets it decide.
func (g *Group) LetGo() error {
	return g.ask(func() {
		if g.view.Role != arb.Paired || g.m.Asking() {
			return
		}
		g.joinAfter = g.cfg.Now().Add(leaveFor)
		var out arb.Output
		g.m.Part(nonce(), &out)
		g.carry(&out)
	})
}

// SetStopped says whether a person stopped the group, on either array: then the other array
// is not taken back. It leaves nobody out; that is Stop.
func (g *Group) SetStopped(stopped bool) error {
	return g.ask(func() {
		if g.stopped = stopped; !stopped {
			g.newStretch()
		}
	})
}

// Takeover asks this side to go on alone, with the votes it needs; the outcome is
// seen in Info.
func (g *Group) Takeover() error {
	return g.ask(func() {
		var out arb.Output
		g.m.Takeover(nonce(), &out)
		g.carry(&out)
	})
}

// Force makes this side go on alone without the votes. A person answers for it:
// what only the other copy holds is lost to this lineage. It is refused while the
// other array can be reached, unless that one lacks what it had acknowledged.
//
// If the witness, reachable now, holds a record by which the other array went on
// alone, contrary must be true: the person knows, and gives up what it did since.
func (g *Group) Force(contrary bool) error {
	var err error
	if e := g.ask(func() {
		if g.state() == gateServe || g.contact && g.view.Role == arb.Paired && g.core.Owner() == g.cfg.Self { // but for a lease of this moment
			err = array.Errorf(array.Conflict, "%s is served here already", g.what()).Because(array.Served)
			return
		}
		if in := g.m.Inputs(); g.contact && !(in.PeerBehind && g.view.Role == arb.Held) {
			err = g.unforced()
			return
		}
		if g.view.Role == arb.Out && g.m.Inputs().Witness != 0 && !contrary {
			err = array.Errorf(array.Conflict, "%s: the witness holds %v, so the other array went on alone; only override gives up what it did", g.what(), g.m.Stored().Current)
			return
		}
		if err = g.leaveCopy(); err != nil {
			return
		}
		var out arb.Output
		g.m.Force(nonce(), &out)
		g.carry(&out)
	}); e != nil {
		return e
	}
	return err
}
