// SPDX-License-Identifier: Apache-2.0

// Package event keeps what happened, what lasts, and who did what, in an array's store.
//
// # Invariants
//
//   - Both logs are bounded: the newest entries stay.
//   - To tell of an event never waits for a disk. What could not be stored yet is kept in
//     memory and stored with the next one; a clean end stores all.
//   - Of a condition that lasts there is one alert. Its begin and its end are events with its
//     number, which no other alert of the array ever has; only its condition ends it.
//   - A command that may change something is in the audit log before it is begun, and with
//     its result when it has ended: one without a result was cut off.
//   - What an entry has of strangers is bounded and printable.
//
// # Concurrency
//
// Safe for concurrent use.
package event
