// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/progress"
)

// evenWithin is how long a switchover waits for two logs that are being compared.
const evenWithin = 5 * time.Second

// switcher is a group that may be handed to the other array.
type switcher interface {
	Switchover() error
	Info() (group.Info, error)
}

// switchOver hands a group to the other array, as soon as that can be.
func switchOver(ctx context.Context, g switcher) error {
	ctx, cancel := context.WithTimeout(ctx, evenWithin)
	defer cancel()
	for {
		err := g.Switchover()
		if !soonSwitched(g, err) || !pause(ctx, 20*time.Millisecond) {
			return err
		}
	}
}

// soonSwitched reports whether what kept a group from being handed over will pass. While the
// record names both arrays, a copy that is not in sync is one whose connection was lost this
// moment: the logs are compared again, or the other array is left out. While who decides is being
// changed, as when the witness returns, neither array acts on the record for a moment.
func soonSwitched(g switcher, err error) bool {
	if array.KindOf(err) == array.Busy {
		return true
	}
	if array.ReasonOf(err) != array.NotSynced {
		return false
	}
	i, err := g.Info()
	return err == nil && i.Record.Members == array.Both && (i.View.Role == arb.Paired || i.View.Role == arb.Held)
}

// servedWithin is how long a failover waits for the votes that it needs.
const servedWithin = 5 * time.Second

// waitServed returns when the group is served here, or says why it isn't.
func waitServed(ctx context.Context, r *running) error {
	ctx, cancel := context.WithTimeout(ctx, servedWithin)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		i, err := r.g.Info()
		if err != nil || i.Serving {
			return err
		}
		select {
		case <-ctx.Done():
			why := i.Reason
			if why == "" {
				why = "the other array serves it: switchover hands it over"
			}
			return array.Errorf(array.Conflict, "group %s is not served here: %s", r.rec.Name, why).Because(array.NotServed)
		case <-t.C:
		}
	}
}

// stuckAfter is how long a copy may get no further before a command waits for it no more.
const stuckAfter = 10 * time.Minute

// moving tells a copy that takes its time from one that is stuck.
type moving struct {
	at    progress.Amount
	since time.Time
}

// stuck reports whether it has got no further for too long.
func (m *moving) stuck(now time.Time, at progress.Amount) bool {
	if m.since.IsZero() || m.at != at {
		m.at, m.since = at, now
	}
	return now.Sub(m.since) > stuckAfter
}

// awayFor is how long the other array may be away before a command waits for it no more.
const awayFor = 20 * time.Second

// answersIn is how long one that begins to wait gives the other array to answer: that is away, or
// is being reached.
const answersIn = 2 * time.Second

func (r *running) otherAway() error {
	return array.Errorf(array.Unavailable, "group %s can't get in sync: the other array does not answer. It will by itself when that returns", r.rec.Name).Because(array.NotSynced)
}

// waitSynced returns when the record names both arrays and the copy is whole.
func waitSynced(ctx context.Context, r *running) error { return waitSyncedTelling(ctx, r, nil) }

// waitSyncedTelling does so and tells meanwhile what is sent.
func waitSyncedTelling(ctx context.Context, r *running, tell func(progress.Step)) error {
	m := progress.NewMeter("sync of group "+r.rec.Name, tell)
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	seen, taken, copied := time.Now(), time.Now(), moving{}
	for {
		i, err := r.g.Info()
		if err != nil || i.Synced {
			return err
		}
		m.Is(i.Filled, i.Copy)
		if i.Contact {
			seen = time.Now()
		}
		why := r.whyRefused()
		if why == "" {
			taken = time.Now()
		}
		if time.Since(taken) > answersIn {
			return array.Errorf(array.Conflict, "group %s can't get in sync: %s", r.rec.Name, why).Because(array.NotSynced)
		}
		if i.Stopped {
			return r.stopped()
		}
		if i.Rival != "" {
			return r.rivals(i)
		}
		if time.Since(seen) > awayFor {
			return r.otherAway()
		}
		if copied.stuck(time.Now(), i.Filled) {
			return array.Errorf(array.Busy, "group %s is not in sync yet, and got no further for %v: %s", r.rec.Name, stuckAfter, i.Copy).Because(array.NotSynced)
		}
		select {
		case <-ctx.Done():
			return array.Errorf(array.Busy, "group %s is not in sync yet", r.rec.Name).Because(array.NotSynced)
		case <-t.C:
		}
	}
}

// rivals says that the arrays went different ways.
func (r *running) rivals(i group.Info) error {
	return array.Errorf(array.Conflict, "group %s can't get in sync: %s", r.rec.Name, i.Rival).Because(array.NotSynced)
}
