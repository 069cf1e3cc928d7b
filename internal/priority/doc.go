// SPDX-License-Identifier: Apache-2.0

// Package priority gives a daemon a larger share of busy processors. Who may serve is decided
// by leases of less than a second: a daemon that others keep from running for so long is as
// good as dead to the other array, though nothing has failed.
//
// # Concurrency
//
// Raise is called once, early in a process.
package priority
