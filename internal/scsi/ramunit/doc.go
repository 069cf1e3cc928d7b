// SPDX-License-Identifier: Apache-2.0

// Package ramunit is a scsi.Unit in memory, with two arrays' views of one disk:
// for tests and for bringing up a target without a pool. Nothing survives the
// process.
//
// # Invariants
//
//   - Every op is linearized under one lock, so both views are always equal.
//   - A held disk (Hold) takes ops and answers none until Resume or a cancel, which
//     is how tests see what waits for what.
//
// # Concurrency
//
// Every method may be called from any goroutine. done is called without the lock.
package ramunit
