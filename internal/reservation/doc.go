// SPDX-License-Identifier: Apache-2.0

// Package reservation holds the reservations of one logical unit: the persistent
// ones (SPC-4 5.12) and the legacy RESERVE/RELEASE of SPC-2. It is a pure
// function from a State and a Request to the next State and what must be told to
// whom; the group orders requests in its log, so both arrays compute the same.
//
// # Invariants
//
//   - A State is immutable. Apply returns another one, or the same when nothing
//     changed.
//   - Apply depends on nothing but its arguments: no clock, no map order.
//   - Revision grows with every change of rights. A write carries the Revision it
//     was checked under. PRGENERATION can't serve for that: RESERVE and RELEASE
//     don't change it.
//   - At most MaxRegistrations registrations. The holder of a reservation is
//     always registered.
//   - The state is always kept through power loss; whether registrations outlive a
//     power loss of the unit (APTPL) is decided by the PowerLoss request.
//
// # Concurrency
//
// Values are immutable and may be shared.
package reservation
