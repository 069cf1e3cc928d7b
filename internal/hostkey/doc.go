// SPDX-License-Identifier: Apache-2.0

// Package hostkey keeps the keys by which SSH clients know an array, and gives it others without a
// client that is taken aback: those to come are made first, and offered to clients that log in
// (hostkeys-00@openssh.com), which note them; then they replace those of before.
//
// # Invariants
//
//   - Keys are made once and last. One that can't be read is not replaced: clients would take the
//     array for another one.
//   - A key file is there whole or not at all. A death between two files leaves some keys turned
//     and the others to come; turning again turns the rest.
//   - A key is only offered by an array that holds it: it proves each (Prove), bound to the
//     connection that asks.
//
// # Concurrency
//
// All methods may be called from any goroutine.
package hostkey
