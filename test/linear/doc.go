// SPDX-License-Identifier: Apache-2.0

// Package linear holds what hosts saw of a group that both arrays serve against the rule
// that it is one truth: every block behaves as if each command took effect at one moment
// between when it was sent and when it was answered. Hosts read, write, and compare and
// write a few hot blocks through both arrays while owners move, arrays die and come back,
// links flap and the witness comes and goes. Build tag lab; `make linearizability` runs
// it at length.
//
// # Invariants
//
//   - Arrays and witness are the shipped binaries as processes of their own.
//   - Every attempt is one operation of the history. One without an answer may have taken
//     effect at any time after it was sent, or never.
//   - Every value is written once, so that what was read names the write.
//
// # Concurrency
//
// A worker has one command out at a time; the history belongs to it until it ends.
package linear
