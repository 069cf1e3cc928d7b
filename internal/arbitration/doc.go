// SPDX-License-Identifier: Apache-2.0

// Package arbitration decides, for one group, which arrays are its members:
// who may serve when an array, a link or the witness is lost. It is a pure core:
// events go in by method calls, effects come out of Take; it knows no network,
// disk, clock, goroutine or log.
//
// # The chain of records
//
// Membership is a Record. Records form one chain: each names the record it
// replaces, and the record that is replaced says who decides its successor.
//
//   - {X}: X alone. The other array's copy is not current, so nobody else can
//     usefully decide anything.
//   - {A,B} by majority: two of array A, array B and the witness, as single-decree
//     Paxos with ballots. The record names the incarnation of the witness that
//     counts, so a witness that was wiped, restored or cloned counts for nothing.
//   - {A,B} by a chosen side: that side alone; the other is barred. This is
//     pre-election: it is itself decided under the rule of the record before, so
//     the barred side has voted for it, or learns of it, before it matters.
//
// Every two deciding sets of one record intersect in an array or witness that
// keeps its vote durably, so a record has at most one decided successor; by
// induction the chain does not fork. Only a person forks it, by Force, which
// starts a new lineage.
//
// A group grows from {X} only to {A,B} chosen X. Until the joining copy holds all
// that was committed without it (Synced) the chosen side stays chosen, so a copy
// that lacks something is never one that can be promoted. Then the chosen side
// gives its privilege up for the witness, once both arrays reach the same
// incarnation of it, or keeps it while there is none.
//
// # Who serves
//
// The chain says who may be a member; leases say who may serve now. View returns
// what follows from both. A side that decides against the other first seals
// (stops granting leases, takes nothing more of the old epoch), and serves alone
// only after GrantEnded. Sealing and promising are one act, because the group
// steps this core and the replication core in the same turn.
//
// # Duties of the caller
//
//  1. After each event call Take. If Persist is set, write Stored durably BEFORE
//     sending any message or swap of the same Output, and before acting on View.
//  2. Grant leases to the other array for this group only while Granting is true.
//     After it turned false, call GrantEnded once every lease granted before has
//     surely ended by the granter's clock, and not earlier. A process that starts
//     behaves as if it had granted a lease the moment before.
//  3. Serve hosts only if View is Alone, or if it is Paired and a lease of the
//     other array, begun after the records were matched, is held.
//  4. Call PeerSilent when the other array's lease could not be renewed for the
//     detection time, PeerState with each state that arrives on a live connection.
//  5. Deliver messages at most as often and as late as the network likes: any may
//     be lost, doubled, delayed or reordered.
//
// # Concurrency
//
// A Machine is a value without pointers. It is not safe for concurrent use;
// copying it copies its whole state, which is what the exhaustive search does.
package arbitration
