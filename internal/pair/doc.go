// SPDX-License-Identifier: Apache-2.0

// Package pair is what two arrays share beside their groups: leases, the silence
// of the other array, the witness's client, and the way of the groups' packets
// over the link. It decides nothing about any group.
//
// # Leases
//
// Each array asks the other for a lease every Beat. A lease counts from when its
// request was sent, by the asker's clock, and for Lease; the granter counts from
// when it sends the answer, and for Lease and a margin for drifting clocks. So the
// granter's end is never before the holder's. Clocks are CLOCK_BOOTTIME, compared
// with CLOCK_MONOTONIC_RAW; when the two disagree the lease is dropped.
//
// Grants come in periods. A break (the other array fell silent, a group sealed)
// ends the period; the next request begins a new one. A group counts a lease only
// in a period for which the other array's group said so, and takes its own grants
// as ended only with the whole period.
//
// # Invariants
//
//   - Period 1 is what a former process may have granted; it ends one lease after
//     the start.
//   - Ended never exceeds a period in which a grant may still run.
//   - A lease is never renewed by an answer that is older than the newest request
//     minus Lease.
package pair
