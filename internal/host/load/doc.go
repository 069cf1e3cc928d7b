// SPDX-License-Identifier: Apache-2.0

// Package load writes and reads a host's disks and knows at every moment what each
// block may hold: not older than the last acknowledged write, nor than what a read
// has already shown; not newer than what was tried; and whole.
//
// # Invariants
//
//   - A block has one writer, which writes it again only after it knows the outcome
//     of the write before. So for each block there is one order, and what comes back
//     is either in it or a fault.
//   - A write that failed stays possible until a later one is acknowledged: what it
//     left behind may still show.
//   - Every 4 KiB block names the run, the disk, its own number and its sequence, and
//     carries a checksum over all of that and its filling.
//
// # Concurrency
//
// The ledger is made of atomics; readers of any worker look at every block.
package load
