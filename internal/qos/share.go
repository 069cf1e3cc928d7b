// SPDX-License-Identifier: Apache-2.0

package qos

import "time"

// Floor is the least share that an array has of a rule.
const Floor = 0.1

// formerShare is one under which commands may still begin.
type formerShare struct {
	share float64
	until time.Time
}

// maxFormer bounds those that are remembered. They end within the time that commands wait.
const maxFormer = 8

// Share is the part of the rule's limits that this array may use now.
func (l *Limiter) Share() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.share
}

// SetShare changes it.
func (l *Limiter) SetShare(now time.Time, share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	share = max(Floor, min(1, share))
	l.forget()
	last := l.io.last
	if l.bw.last.After(last) {
		last = l.bw.last
	}
	if share < l.share && last.After(now) {
		l.past = append(l.past, formerShare{l.share, last})
		if len(l.past) > maxFormer {
			l.past[1].share = max(l.past[0].share, l.past[1].share)
			l.past = append(l.past[:0], l.past[1:]...)
		}
	}
	l.share = share
	l.rates()
}

// Held is the largest share under which commands may begin from now on: those that wait were
// told when they begin.
func (l *Limiter) Held(now time.Time) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	l.forget()
	held := l.share
	for _, f := range l.past {
		held = max(held, f.share)
	}
	return held
}

// forget forgets former shares under which nothing begins any more. The lock is held. What
// was admitted later begins later, so the oldest ends first.
func (l *Limiter) forget() {
	for len(l.past) > 0 && !l.past[0].until.After(l.now) {
		l.past = append(l.past[:0], l.past[1:]...)
	}
}

// Need is what the hosts of one array want of a rule, by its last whole second.
type Need struct {
	// Serves: the array serves a volume that is under the rule.
	Serves bool `json:"serves,omitempty"`
	// Used is the part of the limits that was used, Queue how many commands waited on
	// average, or were refused.
	Used  float64 `json:"used,omitempty"`
	Queue float64 `json:"queue,omitempty"`
}

// NeedOf is what figures say of a rule.
func NeedOf(r Rule, f Figures, serves bool) Need {
	part := func(is, most int64) float64 {
		if most <= 0 {
			return 0
		}
		return float64(is) / float64(most)
	}
	return Need{
		Serves: serves, Used: max(part(f.IOPS, r.MaxIOPS), part(f.Bytes, r.MaxBytes)),
		Queue: f.Wait.Seconds()*float64(f.IOPS) + float64(f.Refused),
	}
}

// within is a Need as an array can have it: the other one's word is not trusted.
func (n Need) within() Need {
	n.Used, n.Queue = bounded(n.Used, 1), bounded(n.Queue, 1e9)
	return n
}

// bounded puts a number between 0 and most; what is none is 0.
func bounded(x, most float64) float64 {
	if !(x > 0) { // so also a NaN
		return 0
	}
	return min(x, most)
}

const (
	// hungry is the queue from which an array wants more than it has, spare what one that
	// does not is given beyond what it used.
	hungry = 0.01
	spare  = 1.25
)

// divide returns the share that the first of two arrays is to have; was is what it was to
// have before. Who wants more gets what the other leaves, and at least half. If both want
// more, their queues decide, as they would if all stood in one: half of the way at a time,
// or it would swing.
func divide(a, b Need, was float64) float64 {
	switch {
	case !a.Serves && !b.Serves:
		return 0.5
	case !b.Serves:
		return 1
	case !a.Serves:
		return 0
	}
	var share float64
	enough := func(n Need) float64 { return max(Floor, n.Used*spare) }
	switch moreA, moreB := a.Queue >= hungry, b.Queue >= hungry; {
	case moreA && moreB:
		share = (was + a.Queue/(a.Queue+b.Queue)) / 2
	case moreA:
		share = 1 - min(0.5, enough(b))
	case moreB:
		share = min(0.5, enough(a))
	default:
		share = enough(a) / (enough(a) + enough(b))
	}
	return max(Floor, min(1-Floor, share))
}
