// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/replication"
)

// failoverPeriodic makes the target of a periodic group serve it, from its last point. There
// is no vote for that: what the source acknowledged since is lost, and a person answers.
func (n *Node) failoverPeriodic(ctx context.Context, a *args, r *running, i group.Info, force bool) error {
	state := "of no point: no copy came whole yet"
	if !i.Period.At.IsZero() {
		state = fmt.Sprintf("of %s, its last point", lastSync(i))
	}
	switch {
	case i.Serving:
		return array.Errorf(array.Conflict, "group %s is served here already", r.rec.Name).Because(array.Served)
	case !r.g.Out():
		return array.Errorf(array.Conflict, "array %s is not the target of group %s: %s", n.cfg.Name, r.rec.Name, i.Reason)
	case i.Contact:
		return array.Errorf(array.Conflict, "group %s is served by array %s, which can be reached: 'setrcopygroup reverse %s' hands it over without loss", r.rec.Name, n.to().Name, r.rec.Name)
	case i.Period.At.IsZero():
		return array.Errorf(array.Conflict, "array %s has group %s as %s: there is nothing to go on from; override -f serves what there is", n.cfg.Name, r.rec.Name, state)
	case !force:
		return array.Errorf(array.Conflict, "group %s is periodic: array %s has the state %s, and what array %s acknowledged since is lost: say -f", r.rec.Name, n.cfg.Name, state, n.to().Name)
	}
	if err := r.g.Force(true); err != nil {
		return err
	}
	a.printf("group %s goes on from the state %s; what array %s acknowledged since is lost\n", r.rec.Name, state, n.to().Name)
	n.warn(fmt.Sprintf("group %s goes on here from the state %s", r.rec.Name, state))
	a.then = func(ctx context.Context) error {
		if err := waitServed(ctx, r); err != nil {
			return err
		}
		if err := r.g.Stop(); err != nil { // until somebody says recover
			return err
		}
		n.command.Lock()
		defer n.command.Unlock()
		return n.setStopped(ctx, r, true)
	}
	return nil
}

// returning asks a former source to follow the array that went on from a point.
type returning struct {
	Description Description           `json:"description"`
	Segments    []replication.Segment `json:"segments"`
}

// recoverPeriodic lets the former source follow: it gives up what it has of after the point.
func (n *Node) recoverPeriodic(ctx context.Context, a *args, r *running) error {
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	if !n.reachable() {
		return array.Errorf(array.Unavailable, "group %s: array %s does not answer, so there is nothing to recover", r.rec.Name, n.to().Name).Because(array.TargetSilent)
	}
	d, err := n.described(r.rec.ID)
	if err != nil {
		return err
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	text, err := n.askWithin(ctx, commandWithin, request{Return: &returning{Description: d, Segments: i.Segments}})
	n.tellAgain(r.rec.ID) // what it has now may be older than what it was told
	if err != nil {
		return err
	}
	if text != "" {
		n.event(text)
		a.printf("%s\n", text)
	}
	if err := n.resume(ctx, r); err != nil {
		return err
	}
	a.printf("group %s: array %s follows\n", r.rec.Name, n.to().Name)
	return nil
}

// giveUp is recover at the former source. No description is taken up meanwhile: it would open what is
// closed here.
func (n *Node) giveUp(q returning) (string, error) {
	n.taking.Lock()
	defer n.taking.Unlock()
	id := q.Description.Group.ID
	r := n.running(id)
	if r == nil {
		return "", n.takeUp(q.Description, nil) // nothing is here: it is copied whole
	}
	st, err := arb.ParseStored(q.Description.Record)
	if err != nil {
		return "", fmt.Errorf("read the other array's record of group %s: %w", r.rec.Name, err)
	}
	i, err := r.g.Info()
	if err != nil {
		return "", err
	}
	fork := replication.Fork(i.Segments, q.Segments)
	switch {
	case i.Serving:
		return "", array.Errorf(array.Conflict, "group %s is served by array %s too: it is not to be given up while hosts write there", r.rec.Name, n.cfg.Name)
	case st.Current.Members != array.Only(n.side().Other()):
		return "", array.Errorf(array.Conflict, "group %s: the other array holds %v, so this copy is not to be given up", r.rec.Name, st.Current)
	case i.View.Role == arb.Out && fork >= i.Kept:
		return "", nil // it follows already
	}
	mine, err := n.describe(id)
	if err != nil {
		return "", err
	}
	if err := n.unneeded(mine.VVs); err != nil {
		return "", err
	}
	n.closeGroup(id)
	// From here on, whatever fails, this array is out and serves nothing.
	if err := (keep{n.store}).Put(id, "membership", arb.Stored{Current: st.Current}.Marshal()); err != nil {
		return "", err
	}
	var heads []array.VolumeID
	for _, v := range mine.VVs {
		if v.Of == 0 {
			heads = append(heads, v.ID)
		}
	}
	cfg := group.Config{ID: id, Keep: keep{n.store}, Pages: r.pages, Copy: r.pages, Points: r.pages, Shadow: r.pages}
	text := fmt.Sprintf("group %s: array %s gave up what it had of after the point at place %d", r.rec.Name, n.cfg.Name, fork)
	if err := group.GiveUp(cfg, heads, fork); err != nil {
		n.event(fmt.Sprintf("group %s can't go back to the point at place %d (%v): it is copied whole", r.rec.Name, fork, err))
		if err := n.dropGroup(id); err != nil {
			return "", err
		}
		return fmt.Sprintf("group %s: array %s gave its copy up, and takes it anew", r.rec.Name, n.cfg.Name), n.takeUp(q.Description, nil)
	}
	n.event(text)
	if _, err := n.openGroup(mine.Group, mine.VVs); err != nil {
		return "", err
	}
	if err := n.exports.renew(id); err != nil {
		return "", err
	}
	return text, n.takeUp(q.Description, nil)
}

// handStep is how long a hand-over of a periodic group waits for each of its steps.
const handStep = 30 * time.Second

// handOver gives a periodic group to the other array without loss: what it lacks is sent,
// it becomes a member for a moment, is made the owner, and leaves this array out.
func (n *Node) handOver(ctx context.Context, r *running) error {
	if _, err := n.mayChange(r.rec.ID); err != nil {
		return err
	}
	if err := n.inContact(ctx, r); err != nil {
		return err
	}
	if err := n.syncPeriod(ctx, r); err != nil {
		return err
	}
	on := func() (bool, error) {
		err := r.g.HandOver(true)
		if array.KindOf(err) == array.Busy {
			return false, nil
		}
		return err == nil, err
	}
	if err := await(ctx, handStep, on, array.Errorf(array.Busy, "group %s can't be handed over this moment: a point is on its way", r.rec.Name)); err != nil {
		return err
	}
	defer func() { _ = r.g.HandOver(false) }()
	if err := makeOwner(ctx, r); err != nil {
		return err
	}
	out := func() (bool, error) { return r.g.Out(), nil }
	return await(ctx, handStep, out, array.Errorf(array.Unknown, "group %s is owned by array %s, which has not left this one out yet: it will by itself", r.rec.Name, n.to().Name))
}

// inContact waits for the group's half on the other array, which may have opened it anew this
// moment. It does not wait for an array that is gone, nor with a group that is stopped.
func (n *Node) inContact(ctx context.Context, r *running) error {
	silent := array.Errorf(array.Unavailable, "group %s can't be handed over: array %s does not answer", r.rec.Name, n.to().Name).Because(array.TargetSilent)
	return await(ctx, evenWithin, func() (bool, error) {
		i, err := r.g.Info()
		if err == nil && !i.Contact && !i.Stopped && !n.reachable() {
			err = silent
		}
		return i.Contact || i.Stopped, err
	}, silent)
}

// handTries is how often the other array is made a member and then the owner.
const handTries = 5

// makeOwner hands the group to the other array as soon as that is a member. It may be left out
// again before, as where it was silent for a moment; it becomes a member again by itself.
func makeOwner(ctx context.Context, r *running) (err error) {
	for range handTries {
		if err := waitSynced(ctx, r); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return array.Errorf(array.Aborted, "group %s is not handed over: whoever asked for it is gone", r.rec.Name)
		}
		if err = switchOver(ctx, r.g); array.ReasonOf(err) != array.NotSynced {
			return err
		}
	}
	return err
}

// await returns when ok does, or late after some time.
func await(ctx context.Context, limit time.Duration, ok func() (bool, error), late error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		if !pause(ctx, 20*time.Millisecond) {
			return late
		}
	}
}

// stopped says what to do with a group that a person stopped, or that waits for one.
func (r *running) stopped() error {
	recovers := ""
	if r.rec.Period > 0 {
		recovers = fmt.Sprintf(", or 'setrcopygroup recover %s' after a failover", r.rec.Name)
	}
	return array.Errorf(array.Conflict, "group %s is stopped: 'startrcopygroup %s' first%s", r.rec.Name, r.rec.Name, recovers)
}

// mayStart refuses what would start a group by the way: a person stopped it for a reason.
func (n *Node) mayStart(id array.GroupID) error {
	r := n.running(id) // as it is now: who asks may have found it a while ago
	if r == nil {
		return array.Errorf(array.Unavailable, "group %v is not open on array %s", id, n.cfg.Name)
	}
	if !n.paired() {
		if far := r.rec.Far; len(far) > 0 {
			return array.Errorf(array.Conflict, "group %s has no other array, only target %s: say -t %s", r.rec.Name, n.farName(far[0]), n.farName(far[0])).Because(array.NoTarget)
		}
		return array.Errorf(array.Conflict, "group %s has no target", r.rec.Name).Because(array.NoTarget)
	}
	i, err := infoNow(*r)
	if err == nil && i.Stopped {
		err = r.stopped()
	}
	return err
}

// awaitsFor is how long a command waits for what keeps a point from being taken to pass, as
// two logs that are being compared.
const awaitsFor = 10 * time.Second

// syncPeriod sends a point now and waits until the other array has it. It gives up where none
// can be taken: whatever follows would else be done when nobody expects it any more.
func (n *Node) syncPeriod(ctx context.Context, r *running) error {
	return n.syncPeriodTelling(ctx, r, nil)
}

// syncPeriodTelling does so and tells meanwhile how far the point is.
func (n *Node) syncPeriodTelling(ctx context.Context, r *running, tell func(progress.Step)) error {
	if err := n.mayStart(r.rec.ID); err != nil {
		return err
	}
	after, err := r.g.SyncNow()
	if err != nil {
		return err
	}
	seen, able, sent := time.Now(), time.Now(), moving{}
	m := progress.NewMeter("sync of group "+r.rec.Name, tell)
	for {
		i, err := r.g.Info()
		if err != nil || i.Period.Place > after {
			return err
		}
		m.Is(i.Filled, pointText(i))
		if i.Contact {
			seen = time.Now()
		}
		if i.Period.Awaits == "" || !i.Contact {
			able = time.Now()
		}
		switch {
		case i.Stopped:
			return r.stopped()
		case time.Since(able) > awaitsFor:
			return array.Errorf(array.Conflict, "group %s: no point can be taken now: %s", r.rec.Name, i.Period.Awaits).Because(array.NotSynced)
		case i.Period.Period == 0:
			return array.Errorf(array.Conflict, "group %s is not periodic any more", r.rec.Name)
		case time.Since(seen) > awayFor:
			return array.Errorf(array.Unavailable, "group %s: array %s does not answer; it has the state of %s", r.rec.Name, n.to().Name, lastSync(i)).Because(array.NotSynced)
		case i.Period.Trouble != "" && !i.Period.Sending:
			return array.Errorf(array.Conflict, "group %s: array %s does not get its point: %s", r.rec.Name, n.to().Name, i.Period.Trouble).Because(array.NotSynced)
		case sent.stuck(time.Now(), i.Filled), !pause(ctx, 50*time.Millisecond):
			return array.Errorf(array.Busy, "group %s: a point is still on its way to array %s", r.rec.Name, n.to().Name).Because(array.NotSynced)
		}
	}
}
