// SPDX-License-Identifier: Apache-2.0

// Package guest boots real Linux kernels as hosts in a lab: User Mode Linux, or a stock
// Debian kernel in QEMU's emulation. Both get the same root, a small Debian, and the same
// agent as their only program (test/kernel/agent), which takes scripts.
//
// build-kernel and build-root make kernel and root and keep them in a directory outside
// of the tree; Prepare runs them.
//
// # Invariants
//
//   - A guest's root is never written to: what it writes is in its memory and ends with it.
//   - A guest has its node's addresses and devices, and no other way out. So it is cut off
//     as any node is.
//   - Nothing of a guest outlives its lab.
//
// # Concurrency
//
// All methods may be called from any goroutine.
package guest
