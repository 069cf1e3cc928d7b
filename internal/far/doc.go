// SPDX-License-Identifier: Apache-2.0

// Package far brings a group's far copy up to date: a third array has the group as it was at
// a point, and goes from point to point. A point is a snapshot of all volumes at one moment of
// the group's order, so any array that serves the group has the same ones, and goes on where
// another one was lost. The third array needs no part in who may serve.
//
// The source asks, the copy answers: Begin, Sums and Pages again and again, End. Between Begin and End
// the copy's volumes are of no moment; what counts there are its own snapshots of the last
// point, until End has made new ones.
//
// # Invariants
//
//   - Content goes from one point to another. The copy says at which it stands; where the
//     source doesn't know that one, all pages of the point are compared by checksums, and
//     what it has not is emptied.
//   - A transfer that was broken off goes on only if it is of the same two points. Before
//     another begins, the copy goes back to its last point.
//   - One run writes to a copy at a time. A new one begins when no page of the one before is
//     under way, and those that come late are refused.
//   - The place that a transfer goes on from has all pages before it durable.
//
// # Concurrency
//
// All methods may be called from any goroutine. A Copy answers pages of one run concurrently,
// and everything else alone.
package far
