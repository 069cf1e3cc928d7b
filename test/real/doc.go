// SPDX-License-Identifier: Apache-2.0

// Package real tests a whole pair with what its users have: initiators that are not
// ours, configuration that can't be meant, damaged disks, strangers on the ports,
// processes that stand still and come back, disks put back from a backup. Build tag
// lab; `make test` runs it.
//
// # Invariants
//
//   - Arrays and witness are the shipped binaries as processes of their own, each in
//     its own network namespace; nothing inside them helps.
//   - What a host has been told is on disk is looked for on both arrays, by reading
//     through each of them.
//   - An array never panics, whatever is done to it.
//
// # Concurrency
//
// Tests in which moments matter run one after the other, the rest side by side: they
// share two processors with what they test.
package real
