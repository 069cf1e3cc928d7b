// SPDX-License-Identifier: Apache-2.0

package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Nano returns the clock in nanoseconds.
func Nano() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has it since 2.6.39; without a clock nothing here is safe.
		panic("read CLOCK_BOOTTIME: " + err.Error())
	}
	return ts.Nano()
}

// Now returns the clock as a Time.
func Now() time.Time { return time.Unix(0, Nano()) }
