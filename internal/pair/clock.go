// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads CLOCK_BOOTTIME, which goes on while the machine sleeps, and checks
// it against CLOCK_MONOTONIC_RAW, which nobody slews.
type Clock struct {
	read      func(id int32) int64
	boot, raw int64
}

// NewClock starts the comparison.
func NewClock() *Clock { return newClock(read) }

func newClock(read func(id int32) int64) *Clock {
	c := &Clock{read: read}
	c.boot, c.raw, _ = c.both()
	return c
}

func read(id int32) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// Now returns nanoseconds of CLOCK_BOOTTIME.
func (c *Clock) Now() int64 { return c.read(unix.CLOCK_BOOTTIME) }

const (
	// slack is what the two clocks may be apart at each check, beside what they may
	// drift as a part of the time passed.
	slack = int64(20 * time.Millisecond)
	// together is how much time may pass while both are read, tries how often that is
	// tried: a process that has to wait for a processor in between reads one of them
	// late, and that says nothing of the clocks.
	together = int64(4 * time.Millisecond)
	tries    = 8
)

// both reads the two clocks at the same time. If that can't be had, ok is false: to accept a
// late reading with a wider tolerance would hide a sleep of the machine just there.
func (c *Clock) both() (boot, raw int64, ok bool) {
	for range tries {
		boot, raw = c.read(unix.CLOCK_BOOTTIME), c.read(unix.CLOCK_MONOTONIC_RAW)
		if d := c.read(unix.CLOCK_BOOTTIME) - boot; d >= 0 && d <= together {
			return boot, raw, true
		}
	}
	return boot, raw, false
}

// Sane compares the clocks since the last comparison. False means that the machine slept
// or was stepped, or that this could not be found out: a lease counted over that stretch
// is void.
func (c *Clock) Sane() bool {
	b, r, ok := c.both()
	if !ok {
		return false // compared over a longer stretch the next time
	}
	db, dr := b-c.boot, r-c.raw
	c.boot, c.raw = b, r
	diff := db - dr
	if diff < 0 {
		diff = -diff
	}
	return db >= 0 && diff <= slack+db/100
}
