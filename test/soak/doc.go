// SPDX-License-Identifier: Apache-2.0

// Package soak lets a pair of real daemons live under random faults for as long as it is
// told: hosts' loads that know what every block may hold, snapshots that come and go,
// switchovers, and every fault of the failure matrix at random times, two at once now and
// then. `make soak MINUTES=60` runs it; build tag soak.
//
// # Invariants
//
//   - No command of a host fails, and none returns what it may not. Whoever lost service
//     must have it again once the faults are healed.
//   - What daemons use at quiet moments does not grow over a life: memory, goroutines,
//     descriptors. Array A is killed in the second half only, B in the first only, so that
//     each has one long life.
//   - A run can be had again by its seed, as far as its faults go.
//
// # Concurrency
//
// One goroutine deals out faults; loads and the sampler run beside it.
package soak
