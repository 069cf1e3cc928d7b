// SPDX-License-Identifier: Apache-2.0

package qos

import "time"

// burst is what may be used in advance, as a time: hosts' commands come in bundles.
const burst = 100 * time.Millisecond

// longest bounds what one command costs, as a time.
const longest = time.Hour

// bucket admits an amount a second, as a schedule: when the next of it is due.
type bucket struct {
	rate float64 // a second; 0: without a limit
	due  time.Time
	// last is when what was admitted last begins.
	last time.Time
}

// wait is how long whoever comes now waits.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	return max(0, b.due.Sub(now))
}

// take takes an amount for what begins then, and pays for it by the time until the next one.
func (b *bucket) take(begins time.Time, amount int64) {
	if b.rate <= 0 {
		b.due = time.Time{}
		return
	}
	if first := begins.Add(-burst); b.due.Before(first) {
		b.due = first
	}
	b.due, b.last = b.due.Add(b.span(amount)), begins
}

// set changes the rate. What was admitted begins when it was told; what is still to be paid
// for after that, or was saved up for a burst, stays as much as it was, which is more time
// or less.
func (b *bucket) set(now time.Time, rate float64) {
	if b.rate > 0 && rate > 0 && rate != b.rate {
		from := now
		if b.last.After(from) {
			from = b.last
		}
		owed := float64(max(-burst, min(longest, b.due.Sub(from)))) * (b.rate / rate)
		b.due = from.Add(time.Duration(max(-float64(burst), min(float64(longest), owed))))
	}
	b.rate = rate
}

func (b *bucket) span(amount int64) time.Duration {
	return time.Duration(min(float64(longest), float64(amount)/b.rate*float64(time.Second)))
}
