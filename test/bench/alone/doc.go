// SPDX-License-Identifier: Apache-2.0

// Package alone starts an array that has no other one, for benchmarks of what a single
// array does: the shipped daemon, with a volume for each host that is named.
//
// # Invariants
//
//   - The daemon works in a directory of its own, on the file system that it is told, and
//     takes it away when it is closed.
//
// # Concurrency
//
// It may be used from one goroutine at a time.
package alone
