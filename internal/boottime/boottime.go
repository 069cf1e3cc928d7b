// SPDX-License-Identifier: Apache-2.0

package boottime

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Nano returns the clock in nanoseconds.
func Nano() int64 {
	var ts unix.Timespec
	// Raw: it never waits, so the scheduler need not be told.
	if _, _, errno := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		// Linux has it since 2.6.39; without a clock nothing here is safe.
		panic("read CLOCK_BOOTTIME: " + errno.Error())
	}
	return ts.Nano()
}

// Now returns the clock as a Time.
func Now() time.Time { return time.Unix(0, Nano()) }
