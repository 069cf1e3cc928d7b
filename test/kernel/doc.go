// SPDX-License-Identifier: Apache-2.0

// Package kernel is the lab with real Linux kernels as hosts: their own iSCSI initiator,
// dm-multipath with its ALUA handler, file systems and fio, over a pair of real daemons
// in network namespaces. `make lab` runs it, `make lab-stock`
// some of it with a kernel as people install it; build tag kernel, never in `make test`.
// What a host saw, and for how long it had to wait, is told by the host itself.
//
// # Invariants
//
//   - What is lost and what must come of it stands in internal/matrix/rows.txt.
//   - A scenario passes only if no application that kept a way to a current copy saw an
//     error, nothing that was read was wrong, and both copies are the same in the end.
//
// # Concurrency
//
// Scenarios are played one after the other: what they measure are pauses.
package kernel
