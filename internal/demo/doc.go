// SPDX-License-Identifier: Apache-2.0

// Package demo shows a pair of arrays surviving what it is made for: real
// processes in network namespaces, a host that verifies every block, a switchover,
// a killed array, a cut link, and a witness that is lost first. It needs no root.
//
// # Invariants
//
//   - It ends with "demo: ok" only if no command of the host failed, no read
//     returned less than was acknowledged or already read, every block read in the
//     end through each array is as acknowledged, and both copies are the same.
//   - A pause is the longest time that one command of the host took, from when it
//     was issued until it ended, retries and waiting for a path included, between the
//     beginning of an act and its end, the pair whole again.
//
// # Concurrency
//
// One goroutine plays; the host and its load have theirs.
package demo
