// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/schedule"
	"github.com/perdure/perdure/internal/store"
)

// A schedule belongs to the group of the volumes it names, is part of its description, and
// is carried out where the group is served. That it is carried out is noted on both arrays
// first: whatever happens then, no array does it again.

// schedEvery is how often schedules are looked at.
const schedEvery = time.Second

// scheds is what this array did with the schedules.
type scheds struct {
	turn sync.Mutex        // held while schedules are carried out
	told map[string]string // why those don't go on; by schedule
}

// watchSchedules carries out what is due.
func (n *Node) watchSchedules(ctx context.Context) {
	for pause(ctx, schedEvery) {
		n.runSchedules(ctx)
	}
}

// runSchedules carries out, once, what is due and served here.
func (n *Node) runSchedules(ctx context.Context) {
	n.scheds.turn.Lock()
	defer n.scheds.turn.Unlock()
	all, err := n.schedules()
	if err != nil {
		n.event("look for schedules: " + err.Error())
		return
	}
	still := map[string]string{}
	for _, s := range all {
		if why := n.runSchedule(ctx, s); why != "" {
			if still[s.Name] = why; n.scheds.told[s.Name] != why {
				n.warn(fmt.Sprintf("schedule %s: %s", s.Name, why))
			}
		}
	}
	n.scheds.told = still
}

func (n *Node) schedules() (all []Schedule, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.scheds.Each(t, func(_ string, s Schedule) error {
			all = append(all, s)
			return nil
		})
	})
	return all, err
}

// setBack is how far the clock may be behind the last run without a word.
const setBack = time.Minute

// runSchedule carries a schedule out if it is due. It returns what keeps it from that.
func (n *Node) runSchedule(ctx context.Context, s Schedule) (why string) {
	now := n.now()
	times, err := schedule.Parse(s.Times)
	switch {
	case err != nil:
		return err.Error()
	case s.Suspended || !n.serves(s.Group):
		return ""
	case s.Last.Sub(now) > setBack:
		return fmt.Sprintf("it was last carried out at %s, which the clock has not reached yet; 'setsched -resume' goes on from now on", s.Last.In(now.Location()).Format(timeForPeople))
	case !times.Due(s.Last, now):
		return ""
	}
	n.command.Lock()
	err = n.changeSchedule(ctx, s, func(now2 *Schedule) error {
		if !now2.Last.Equal(s.Last) || now2.Suspended || now2.Times != s.Times {
			return errNotDue
		}
		now2.Last = now
		now2.Runs++
		s = *now2
		return nil
	})
	n.command.Unlock()
	switch {
	case errors.Is(err, errNotDue):
		return ""
	case err != nil:
		return "it is due and can't be carried out: " + err.Error()
	}
	q := n.itself(s.Command...)
	q.By.Over = "schedule"
	if _, err := n.runHere(ctx, q); err != nil {
		n.warn(fmt.Sprintf("schedule %s: %s: %v", s.Name, strings.Join(s.Command, " "), err))
	}
	return ""
}

// errNotDue says that a schedule was changed meanwhile.
var errNotDue = errors.New("not due any more")

// changeSchedule changes what is said of a schedule, on both arrays. A command runs.
func (n *Node) changeSchedule(ctx context.Context, s Schedule, f func(*Schedule) error) error {
	return n.changeGroup(ctx, s.Group, func(t *store.Tx) error {
		now, ok, err := tables.scheds.Get(t, s.Name)
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "schedule %s does not exist", s.Name))
		}
		if err := f(&now); err != nil {
			return err
		}
		if now.Name != s.Name {
			if _, is, err := tables.scheds.Get(t, now.Name); err != nil || is {
				return orElse(err, array.Errorf(array.Exists, "schedule %s exists already", now.Name))
			}
			if err := tables.scheds.Delete(t, s.Name); err != nil {
				return err
			}
		}
		return tables.scheds.Put(t, now.Name, now)
	})
}

// checkSchedules refuses a description with a schedule that is another one here.
func (n *Node) checkSchedules(t *store.Tx, d Description) error {
	return tables.scheds.Each(t, func(_ string, s Schedule) error {
		for _, o := range d.Schedules {
			if o.Name == s.Name && s.Group != d.Group.ID {
				return array.Errorf(array.Exists, "schedule %s exists on array %s and is another one", s.Name, n.cfg.Name)
			}
		}
		return nil
	})
}

// volumes returns the names of the volumes that a schedule makes snapshots of.
func (s Schedule) volumes() (names []string) {
	if s.Command[0] == "createsv" {
		return s.Command[len(s.Command)-1:]
	}
	for _, w := range s.Command {
		if _, vv, ok := strings.Cut(w, ":"); ok {
			names = append(names, vv)
		}
	}
	return names
}

// unscheduled says which schedule names a volume that is to go.
func (n *Node) unscheduled(v VV) error {
	all, err := n.schedules()
	for _, s := range all {
		if s.Group == v.Group && slices.Contains(s.volumes(), v.Name) {
			return array.Errorf(array.Conflict, "volume %s is in schedule %s: removesched it first", v.Name, s.Name).Because(array.Scheduled)
		}
	}
	return err
}

// fillIn puts volumes' names and the time into the names of snapshots.
func (n *Node) fillIn(pairs []pairOf, now time.Time) error {
	for i, p := range pairs {
		if !strings.Contains(p.sv, "@") {
			continue
		}
		v, _, err := n.vv(p.vv)
		if err != nil {
			return err
		}
		pairs[i].sv = strings.NewReplacer(
			"@vvname@", v.Name, "@vvid@", fmt.Sprint(n.VolumeNumber(v.ID)),
			"@y@", now.Format("06"), "@m@", now.Format("01"), "@d@", now.Format("02"),
			"@H@", now.Format("15"), "@M@", now.Format("04"), "@S@", now.Format("05"), "@s@", fmt.Sprint(now.Unix()),
		).Replace(p.sv)
	}
	return nil
}
