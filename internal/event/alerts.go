// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// Condition is what may last: a kind of trouble, and what has it.
type Condition struct {
	Kind   string `json:"kind"`
	Object string `json:"object,omitempty"`
}

// Alert is a condition that lasts, or lasted.
type Alert struct {
	ID AlertID `json:"id"`
	Condition
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	// Domain is that of all that it names, empty for none.
	Domain string    `json:"domain,omitempty"`
	Since  time.Time `json:"since"`
	// Ended is when the condition ended, zero while it lasts.
	Ended time.Time `json:"ended,omitzero"`
	// Seen: a person knows of it.
	Seen bool `json:"seen,omitempty"`
	// placed is when it was asked for Domain.
	placed time.Time
}

// placedFor is how long the domain of an alert is taken to be what it was: what it names is moved
// seldom, and conditions are looked at each second.
const placedFor = 10 * time.Second

// State is the incumbent's word for how an alert stands.
type State string

// The states.
const (
	New          State = "New"
	Acknowledged State = "Acknowledged"
	Fixed        State = "Fixed"
)

// State returns it.
func (a Alert) State() State {
	switch {
	case !a.Ended.IsZero():
		return Fixed
	case a.Seen:
		return Acknowledged
	}
	return New
}

const (
	// MostOpen bounds the conditions that are told of at a time, mostEnded the alerts that
	// are kept after their end.
	MostOpen  = 512
	mostEnded = 512
)

// Alerts has the conditions that last, and the newest of those that ended. Of a condition
// there is one alert at a time.
type Alerts struct {
	store  *store.Store
	bucket store.Bucket[Alert]
	count  store.Bucket[AlertID]
	log    *Log

	mu      sync.Mutex
	idle    *sync.Cond // nobody writes
	writing bool
	closed  bool
	next    AlertID
	open    map[Condition]*Alert
	all     []*Alert // by number
	// unstored are those that the store has otherwise; nil is for one that is gone.
	unstored map[AlertID]*Alert
}

// OpenAlerts reads the alerts there are. Their begins and ends go into the log.
func OpenAlerts(s *store.Store, log *Log) (*Alerts, error) {
	a := &Alerts{store: s, bucket: store.Bucket[Alert]{Name: "alerts"}, count: store.Bucket[AlertID]{Name: "alerts-next"}, log: log, next: 1, open: map[Condition]*Alert{}, unstored: map[AlertID]*Alert{}}
	a.idle = sync.NewCond(&a.mu)
	err := s.View(func(t *store.Tx) error {
		next, _, err := a.count.Get(t, "next")
		if err != nil {
			return err
		}
		a.next = max(a.next, next)
		return a.bucket.Each(t, func(_ string, x Alert) error {
			a.all = append(a.all, &x)
			a.next = max(a.next, x.ID+1)
			if x.Ended.IsZero() {
				a.open[x.Condition] = &x
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the alerts: %w", err)
	}
	for _, e := range log.Newest() { // one whose alert was not stored any more
		a.next = max(a.next, e.Alert+1)
	}
	return a, nil
}

// Raise tells that a condition lasts. What is known already is told again only if it matters
// more now: it reports whether it was told.
func (a *Alerts) Raise(c Condition, s Severity, text string, at time.Time) (told bool) {
	text = cut(text, maxText)
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.open[c]
	switch {
	case x == nil && len(a.open) >= MostOpen:
		return false // nobody reads more
	case x == nil:
		told = true
		x = &Alert{ID: a.next, Condition: c, Severity: s, Text: text, Domain: a.log.domainOf(text), Since: at, placed: at}
		a.next++
		a.open[c], a.all = x, append(a.all, x)
		a.log.Add(Event{At: at, Severity: s, Text: text, Alert: x.ID, Mark: Began})
	case x.Severity == s && x.Text == text && at.Sub(x.placed).Abs() < placedFor:
		return false
	case x.Severity == s && x.Text == text:
		x.placed = at
		d := a.log.domainOf(text)
		if d == x.Domain {
			return false
		}
		x.Domain = d // what it names was moved
	default:
		if told = more(s, x.Severity); told {
			x.Seen = false
			a.log.Add(Event{At: at, Severity: s, Text: text, Alert: x.ID})
		}
		x.Severity, x.Text, x.Domain, x.placed = s, text, a.log.domainOf(text), at
	}
	a.changed(x.ID, x)
	return told
}

// more reports whether s matters more than t.
func more(s, t Severity) bool {
	return slices.Index(Severities(), s) > slices.Index(Severities(), t)
}

// End tells that a condition has ended, and reports whether it lasted.
func (a *Alerts) End(c Condition, text string, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.open[c]
	if x == nil {
		return false
	}
	delete(a.open, c)
	x.Ended = at
	a.log.Add(Event{At: at, Severity: Informational, Text: cut(text, maxText), Alert: x.ID, Mark: Ended})
	a.changed(x.ID, x)
	for ended := len(a.all) - len(a.open); ended > mostEnded; ended-- {
		i := slices.IndexFunc(a.all, func(x *Alert) bool { return !x.Ended.IsZero() })
		a.drop(i)
	}
	return true
}

// drop forgets an alert. The lock is held.
func (a *Alerts) drop(i int) {
	a.changed(a.all[i].ID, nil)
	a.all = slices.Delete(a.all, i, i+1)
}

// All returns the alerts, the oldest first.
func (a *Alerts) All() []Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Alert, 0, len(a.all))
	for _, x := range a.all {
		out = append(out, *x)
	}
	return out
}

// Lasts reports whether a condition lasts.
func (a *Alerts) Lasts(c Condition) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[c] != nil
}

// Change lets an alert have another state. One can't be fixed, or made new again, by a
// person's word: that goes by its condition.
func (a *Alerts) Change(id AlertID, to State) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, _, err := a.find(id)
	if err != nil {
		return err
	}
	switch {
	case x.State() == to:
		return nil
	case to == Fixed:
		return array.Errorf(array.Conflict, "alert %d lasts: %s; it is fixed when that ends, by itself ('setalert ack %d' until then)", id, x.Text, id)
	case !x.Ended.IsZero():
		return array.Errorf(array.Conflict, "alert %d is fixed since %s: what comes again is a new alert", id, x.Ended.Local().Format(time.DateTime))
	}
	x.Seen = to == Acknowledged
	a.changed(id, x)
	return nil
}

// Remove forgets an alert that has ended.
func (a *Alerts) Remove(id AlertID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, i, err := a.find(id)
	if err != nil {
		return err
	}
	if x.Ended.IsZero() {
		return array.Errorf(array.Conflict, "alert %d lasts: %s; it can be removed when that has ended", id, x.Text)
	}
	a.drop(i)
	return nil
}

// Find returns one alert.
func (a *Alerts) Find(id AlertID) (Alert, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, _, err := a.find(id)
	if err != nil {
		return Alert{}, err
	}
	return *x, nil
}

func (a *Alerts) find(id AlertID) (*Alert, int, error) {
	i, is := slices.BinarySearchFunc(a.all, id, func(x *Alert, id AlertID) int { return int(int64(x.ID) - int64(id)) })
	if !is {
		return nil, 0, array.Errorf(array.NotFound, "alert %d does not exist: 'showalert -all' lists them", id).Because(array.NoAlert)
	}
	return a.all[i], i, nil
}

// changed lets the store have what changed, nil for what is gone. The lock is held.
func (a *Alerts) changed(id AlertID, x *Alert) {
	a.unstored[id] = x
	if !a.writing && !a.closed {
		a.writing = true
		go a.write() // ends when all is stored
	}
}

// write stores what is not stored yet, until that is all, or fails.
func (a *Alerts) write() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.unstored) > 0 {
		batch := map[AlertID]*Alert{}
		for id, x := range a.unstored {
			if x != nil {
				one := *x
				x = &one
			}
			batch[id] = x
		}
		clear(a.unstored)
		next := a.next
		a.mu.Unlock()
		err := a.put(batch, next)
		a.mu.Lock()
		if err != nil {
			for id, x := range batch {
				if _, newer := a.unstored[id]; !newer {
					a.unstored[id] = x
				}
			}
			a.log.failed(fmt.Errorf("store %d alerts: %w", len(batch), err))
			break
		}
	}
	a.writing = false
	a.idle.Broadcast()
}

func (a *Alerts) put(batch map[AlertID]*Alert, next AlertID) error {
	return a.store.Update(func(t *store.Tx) error {
		if err := a.count.Put(t, "next", next); err != nil {
			return err
		}
		for id, x := range batch {
			if x == nil {
				if err := a.bucket.Delete(t, store.Key(uint64(id))); err != nil {
					return err
				}
				continue
			}
			if err := a.bucket.Put(t, store.Key(uint64(id)), *x); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close stores what is not stored yet.
func (a *Alerts) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.writing {
		a.idle.Wait()
	}
	a.closed = true
	if len(a.unstored) > 0 {
		a.writing = true
		a.mu.Unlock()
		a.write()
		a.mu.Lock()
	}
}
