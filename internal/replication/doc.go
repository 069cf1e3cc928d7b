// SPDX-License-Identifier: Apache-2.0

// Package replication orders the writes of one group on one array and says when
// they are committed. Like arbitration it is a pure core: lengths and places, no
// bytes, no network, disk, clock or goroutine. The group's shell carries records
// to the journal and to the other array, and reports back.
//
// # One order
//
// The owner gives each record its position. Both journals take records only in
// that order and without gaps, so each array's journal and pages together are a
// prefix of one log. A record is committed when the journal of every member holds
// it and all before it. Commit is what reads, acknowledgements and destaging go by.
//
//   - Alone, the whole durable tail is committed: nothing of it may be dropped,
//     since it may have been acknowledged for all this array knows.
//   - Paired, the smaller of the two durable ends is.
//   - Out, what the serving array says is, as far as the own journal holds it.
//
// # Terms
//
// An owner entry opens a term and names its owner; it is a barrier. The giver
// places nothing after it, and the taker places only when it knows the entry
// committed. After every start, broken connection and new epoch the arrays first
// compare their ends; the longer log is the log, the shorter is filled, and then
// the owner opens a new term. Until that entry is committed nothing else is placed.
//
// # The fork
//
// Segments say where every epoch and term ended and who owned it. Two logs share
// what lies in their newest common segment, up to the smaller end; beyond it the
// one that is out cuts.
package replication
