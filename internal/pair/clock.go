// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads CLOCK_BOOTTIME, which goes on while the machine sleeps, and checks
// it against CLOCK_MONOTONIC_RAW, which nobody slews.
type Clock struct {
	boot, raw int64
}

// NewClock starts the comparison.
func NewClock() *Clock {
	c := &Clock{}
	c.boot, c.raw = read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_MONOTONIC_RAW)
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
func (c *Clock) Now() int64 { return read(unix.CLOCK_BOOTTIME) }

// tolerance is what the two clocks may drift apart between two checks of a
// running machine, as a part of the time passed, beside a fixed slack.
const slack = int64(20 * time.Millisecond)

// Sane compares the clocks since the last call. False means that the machine slept
// or was stepped: a lease counted over that stretch is void.
func (c *Clock) Sane() bool {
	b, r := read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_MONOTONIC_RAW)
	db, dr := b-c.boot, r-c.raw
	c.boot, c.raw = b, r
	diff := db - dr
	if diff < 0 {
		diff = -diff
	}
	return db >= 0 && diff <= slack+db/100
}
