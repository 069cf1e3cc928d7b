// SPDX-License-Identifier: Apache-2.0

package qos

import "time"

// burst is what may be used in advance, as a time: hosts' commands come in bundles.
const burst = 100 * time.Millisecond

// bucket admits an amount a second, as a schedule: when the next of it is due.
type bucket struct {
	rate float64 // a second; 0: without a limit
	due  time.Time
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
	b.due = b.due.Add(b.span(amount))
}

func (b *bucket) span(amount int64) time.Duration {
	return time.Duration(float64(amount) / b.rate * float64(time.Second))
}
