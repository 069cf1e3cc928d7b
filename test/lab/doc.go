// SPDX-License-Identifier: Apache-2.0

// Package lab plays the failure matrix with real processes in network namespaces:
// internal/matrix/rows.txt says what is lost and what must come of it, a host under load says what
// came of it. Build tag lab; `make failure-matrix` prints the table.
//
// # Invariants
//
//   - The expectation stands in internal/matrix/rows.txt and nowhere else; the player knows no row.
//   - A row passes only if the host saw no error, no read was older than it may be,
//     and both copies are whole and the same in the end.
//
// # Concurrency
//
// Rows are played one after the other: what they measure are pauses.
package lab
