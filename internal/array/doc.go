// SPDX-License-Identifier: Apache-2.0

// Package array is the vocabulary of Perdure: the nouns every other package
// speaks, and nothing that does anything. It imports only the standard library
// and is imported by everything.
//
// # Words
//
// An array is one of the two daemons that keep a copy. A group (Remote Copy
// group) is the unit of consistency: its volumes share one order of writes, one
// owner and one membership. The owner is the array that orders a group's writes
// now. A place is a record's position in its group's order, an epoch numbers
// the memberships under which the order is written, and a term numbers the
// owners within an epoch. A record is committed when the journal of every
// member holds it and all before it.
//
// # Invariants
//
//   - Every identifier carries the system id of the array that made it in its
//     upper half, so that two arrays never make the same one.
//   - Positions are ordered by (epoch, term, place); within one lineage a larger
//     place never has a smaller epoch or term.
//   - Kind values are stable on the wire: new ones are added at the end.
package array
