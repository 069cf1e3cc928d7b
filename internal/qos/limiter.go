// SPDX-License-Identifier: Apache-2.0

package qos

import (
	"sync"
	"time"
)

// Priority says whose goal counts more.
type Priority int

// The priorities, with the incumbent's numbers.
const (
	Low Priority = iota + 1
	Normal
	High
)

// Rule is what hosts may do to the volumes of a set, together. Zero is no limit, minimum or
// goal.
type Rule struct {
	// MinIOPS and MaxIOPS are commands a second, MinBytes and MaxBytes data.
	MinIOPS, MaxIOPS   int64
	MinBytes, MaxBytes int64
	// Goal is how long commands may take on average, the time that they wait here left out.
	Goal     time.Duration
	Priority Priority
}

// Figures are of the last whole second.
type Figures struct {
	IOPS, Bytes, Refused int64
	// Wait and Took are averages: of the time that commands waited here, and took then.
	Wait, Took time.Duration
}

// Limiter carries a rule out.
type Limiter struct {
	mu     sync.Mutex
	rule   Rule
	io, bw bucket
	// squeeze, from 0 to 1, is how far the limits are lowered toward the minimums for the
	// sake of others.
	squeeze float64
	// share is the part of the limits that this array may use; past are larger ones, under
	// which commands were admitted that have not begun yet.
	share float64
	past  []formerShare
	now   time.Time // the newest that was told

	commands, bytes, refused, served int64
	waited, took                     time.Duration
	last                             Figures
}

// NewLimiter returns one for a rule.
func NewLimiter(r Rule) *Limiter {
	l := &Limiter{share: 1}
	l.Set(r)
	return l
}

// Set changes the rule; what was used under the old one stays used.
func (l *Limiter) Set(r Rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rule = r
	l.rates()
}

// rates sets the buckets' rates. The lock is held.
func (l *Limiter) rates() {
	between := func(low, high int64) float64 {
		return max(1, float64(high)-l.squeeze*float64(high-min(low, high)))
	}
	var io, bw float64
	if l.rule.MaxIOPS > 0 {
		io = between(l.rule.MinIOPS, l.rule.MaxIOPS) * l.share
	}
	if l.rule.MaxBytes > 0 {
		bw = between(l.rule.MinBytes, l.rule.MaxBytes) * l.share
	}
	l.io.set(l.now, io)
	l.bw.set(l.now, bw)
}

// wait is how long a command that comes now waits. The lock is held.
func (l *Limiter) wait(now time.Time) time.Duration {
	l.now = now
	return max(l.io.wait(now), l.bw.wait(now))
}

// take counts a command that begins after a wait, which is at least this rule's. The lock is
// held.
func (l *Limiter) take(now time.Time, bytes int64, wait time.Duration) {
	begins := now.Add(wait)
	l.io.take(begins, 1)
	l.bw.take(begins, bytes)
	l.commands++
	l.bytes += bytes
	l.waited += wait
}

func (l *Limiter) ended(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served++
	l.took += took
}

// second ends a second: it returns the priority of the rule if its goal was missed, else 0.
func (l *Limiter) second() (missed Priority) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = Figures{IOPS: l.commands, Bytes: l.bytes, Refused: l.refused}
	if l.commands > 0 {
		l.last.Wait = l.waited / time.Duration(l.commands)
	}
	if l.served > 0 {
		l.last.Took = l.took / time.Duration(l.served)
	}
	l.commands, l.bytes, l.refused, l.served, l.waited, l.took = 0, 0, 0, 0, 0, 0
	if l.rule.Goal > 0 && l.last.Took > l.rule.Goal {
		return l.rule.Priority
	}
	return 0
}

const (
	// tighten and loosen are how much of the way between limit and minimum a second takes:
	// quickly down, for somebody suffers, and slowly up, or it would swing.
	tighten = 0.1
	loosen  = 0.05
)

// yield lowers the limits for a rule of that priority, or lets them rise.
func (l *Limiter) yield(to Priority) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to > l.rule.Priority {
		l.squeeze = min(1, l.squeeze+tighten)
	} else {
		l.squeeze = max(0, l.squeeze-loosen)
	}
	l.rates()
}

// Figures returns those of the last second.
func (l *Limiter) Figures() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
