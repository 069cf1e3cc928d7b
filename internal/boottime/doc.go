// SPDX-License-Identifier: Apache-2.0

// Package boottime is the clock by which commands grow too old: CLOCK_BOOTTIME,
// which goes on while the machine is suspended and never steps. Its times may be
// compared and subtracted with each other only; they are no time of day.
package boottime
