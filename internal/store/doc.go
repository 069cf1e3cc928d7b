// SPDX-License-Identifier: Apache-2.0

// Package store is an array's configuration store: one file of named buckets with
// typed values, in which one transaction is one change. It keeps volumes, hosts,
// groups, users and arbitration records, and is never on a host's way.
//
// # Use
//
// A Bucket is declared once, as a constant would be, and read or written inside
// View or Update. Batch is for many small values from many goroutines, such as the
// arbitration records of all groups: those that wait at the same moment share one
// transaction and one flush.
//
// # Invariants
//
//   - When Update or Batch has returned nil the change is on the disk, whole. When
//     it has returned an error of the function nothing of it is; after an error of
//     the disk it may be there or not.
//   - Values are decoded strictly: an unknown field, a value of another shape or
//     bytes behind it are errors and not guesses.
//   - A store of another format version is refused.
//
// # Concurrency
//
// All methods may be called from any goroutine. Updates run one at a time. Inside
// a transaction only the transaction may be used.
package store
