// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/progress"
)

// farKey is a group's relation to another pair or array.
type farKey struct {
	group  array.GroupID
	system array.SystemID
}

// farRun is how the copies of one relation stand, on this array.
type farRun struct {
	running bool
	end     context.CancelFunc
	// looked: since it can be reached the copy was asked whether it follows.
	looked  bool
	asked   bool // a person wants a point now
	retryAt time.Time
	trouble string
	sent    progress.Amount
	late    bool
}

// farRuns are those of all.
type farRuns struct {
	mu  sync.Mutex
	all map[farKey]*farRun
}

func (x *farRuns) of(key farKey) *farRun {
	if x.all == nil {
		x.all = map[farKey]*farRun{}
	}
	if x.all[key] == nil {
		x.all[key] = &farRun{}
	}
	return x.all[key]
}

// state returns how a relation stands.
func (x *farRuns) state(key farKey) farRun {
	x.mu.Lock()
	defer x.mu.Unlock()
	return *x.of(key)
}

func (x *farRuns) change(key farKey, f func(*farRun)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x.of(key))
}

// end breaks off what is being sent.
func (x *farRuns) end(key farKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.of(key); s.running && s.end != nil {
		s.end()
	}
}

// lookWithin is how long a copy may take to say whether it follows: others wait meanwhile.
const lookWithin = 2 * time.Second

// lookAtFar asks a copy that can be reached again whether it follows still: a person may have let it
// go on by itself, and people here are to know before the next point is due. It reports false if
// nobody answered: that holds others up.
func (n *Node) lookAtFar(ctx context.Context, r running, f Far) bool {
	if f.Copy || f.Parted {
		return true
	}
	key := f.key(r.rec.ID)
	t := n.farOf(f.Systems)
	if t == nil || !t.tie.Reachable() {
		n.farRuns.change(key, func(s *farRun) { s.looked = false })
		return true
	}
	if i, err := r.g.Info(); n.farRuns.state(key).looked || err != nil || !i.Serving || i.Owner != i.Self {
		return true
	}
	_, err := n.askFar(ctx, f, lookWithin, far.Request{Kind: far.Look, Group: r.rec.ID, Name: r.rec.Name, Systems: n.systems()})
	n.farRuns.change(key, func(s *farRun) { s.looked = err == nil || array.ReasonOf(err) == array.Served })
	if array.ReasonOf(err) == array.Served {
		if err := n.partedFrom(ctx, r.rec.ID, f.Systems[0], err); array.ReasonOf(err) != array.Served {
			n.log.Warn("note that a copy went on by itself", "group", r.rec.Name, "err", err)
		}
		n.warn(fmt.Sprintf("group %s: its copy on target %s went on by itself; 'setrcopygroup recover %s' there lets this group follow", r.rec.Name, n.farName(f), f.Remote))
	}
	return err == nil || array.ReasonOf(err) == array.Served
}

// prune forgets relations that are no more.
func (x *farRuns) prune(groups []running) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, s := range x.all {
		if !s.running && !slices.ContainsFunc(groups, func(r running) bool { return r.rec.ID == key.group && r.rec.farWith(key.system) >= 0 }) {
			delete(x.all, key)
		}
	}
}

func (f Far) key(id array.GroupID) farKey { return farKey{id, f.Systems[0]} }

// beginFarRun takes the run if a point is due that this array is to send; else end is nil.
func (n *Node) beginFarRun(ctx context.Context, r running, f Far) (_ context.Context, end context.CancelFunc) {
	if f.Copy || f.Stopped || f.Parted || !n.RemoteCopyStarted() {
		return ctx, nil
	}
	x := &n.farRuns
	x.mu.Lock()
	defer x.mu.Unlock()
	s, now := x.of(f.key(r.rec.ID)), n.now()
	busy, same := 0, 0
	for key, o := range x.all {
		if o.running {
			busy++
		}
		if o.running && key.system == f.Systems[0] {
			same++
		}
	}
	// The last point may be of another array's clock.
	due := f.Pending != nil || f.Done == nil || s.asked || now.Sub(f.Done.At) >= f.period() || now.Before(f.Done.At)
	if s.running || !due || busy >= maxFarRuns || same >= maxFarRuns/2 || time.Now().Before(s.retryAt) {
		return ctx, nil
	}
	if i, err := r.g.Info(); err != nil || !i.Serving || i.Owner != i.Self {
		return ctx, nil
	}
	// As it is now: who stops it meanwhile ends the run.
	if _, f, err := n.describeFar(r.rec.ID, f.Systems[0]); err != nil || f.Copy || f.Stopped || f.Parted {
		return ctx, nil
	}
	ctx, end = context.WithCancel(ctx)
	s.running, s.asked, s.sent, s.end = true, false, progress.Amount{}, end
	return ctx, end
}

func (n *Node) endFarRun(ctx context.Context, g RCGroup, f Far, err error) {
	n.farRuns.change(f.key(g.ID), func(s *farRun) {
		s.running = false
		if err == nil {
			if s.trouble != "" {
				n.event(fmt.Sprintf("group %s: target %s gets its points again", g.Name, n.farName(f)))
			}
			s.trouble, s.retryAt = "", time.Time{}
			return
		}
		s.retryAt = time.Now().Add(farAgain)
		if why := err.Error(); ctx.Err() == nil && s.trouble != why {
			s.trouble = why
			n.warn(fmt.Sprintf("group %s: target %s does not get its point: %s", g.Name, n.farName(f), why))
		}
	})
}

// watchFarPeriod tells once when a copy is older than two periods.
func (n *Node) watchFarPeriod(r running, f Far) {
	if f.Done == nil {
		return
	}
	age := n.now().Sub(f.Done.At)
	late := age > 2*f.period() && !f.Stopped && !f.Parted
	if late && !f.Copy {
		if i, err := r.g.Info(); err != nil || !i.Serving || i.Owner != i.Self {
			return
		}
	}
	n.farRuns.change(f.key(r.rec.ID), func(s *farRun) {
		if late && !s.late {
			why := s.trouble
			if f.Copy {
				n.warn(fmt.Sprintf("group %s, a copy of group %s of %s, has the state of %s: its period of %s is not kept", r.rec.Name, f.Remote, n.farName(f), f.Done.At.Format(timeForPeople), periodText(f.Period)))
				s.late = late
				return
			}
			if why == "" {
				why = "sending takes longer"
			}
			n.warn(fmt.Sprintf("group %s: the period of %s to target %s is not kept; it has the state of %s: %s", r.rec.Name, periodText(f.Period), n.farName(f), f.Done.At.Format(timeForPeople), why))
		}
		s.late = late
	})
}
