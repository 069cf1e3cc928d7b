// SPDX-License-Identifier: Apache-2.0

// Package model searches the interleavings of a pair of arrays and a witness
// exhaustively, within bounds, over the shipped code of package arbitration.
//
// A world is two arbitration machines, what their disks hold, the witness's
// register, the messages under way, the leases, and a small log of writes. Every
// event that is possible in a world is tried: a message is delivered (as often and
// as late as one likes, or never), a lease ends, an array falls silent for the
// other, crashes and returns, the witness restarts or is restored, a person
// forces. The log is the rule of the replication core in its smallest form: a
// write is acknowledged when every member's journal holds it.
//
// # What must hold in every world
//
//   - Whoever can serve holds every write that was acknowledged.
//   - Two arrays that can both serve are in the same epoch, unless a person
//     forced one.
//   - No record has two decided successors.
//   - A lineage whose acknowledged writes the forced one lacks is never given up
//     without a person's choice.
//
// # One failure
//
// SingleFailures is about the other half: that somebody serves. In each of many worlds of a
// healthy pair, whatever is under way there, one thing is lost for good; a few steps happen in
// any order, and then all that still can: a side must serve.
//
// Leases are abstract: a grant is under way, held, or over; the clock bound is
// that GrantEnded comes only when none is under way or held.
//
// The search is breadth first, so a violation's trace is among the shortest.
package model
