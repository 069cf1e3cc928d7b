// SPDX-License-Identifier: Apache-2.0

// Package group is the shell of one Remote Copy group on one array. A single
// goroutine steps the arbitration and the replication core and carries out what
// they ask for: journal and send records, apply and answer what is committed,
// store votes, talk to the other array and the witness. To the front end each
// volume of the group is a scsi.Unit.
//
// # Invariants
//
//   - Votes and records of membership are durable before a message that rests on
//     them leaves, and before the new view is acted on.
//   - A record is handed to the own journal before it is sent.
//   - A host's command is answered, and a read shows a write, only once it is
//     committed and applied.
//   - A read holds the same lease period and gate from before the volume is read
//     until after.
//   - A lease of the other array counts for this group only in a period for which
//     the other array's group has said so after both had compared records; and
//     this side counts its own grants as ended only when the period in which it
//     last said so has surely ended.
//   - A damaged page gets only content whose birth names it, from an array whose log
//     was compared with this one's; what is read through the other array has all that
//     was applied here when it was asked for.
//   - The copy of a periodic group is at one point, in all its CPGs, or at the one before;
//     the fact "turn" decides which, and is stored before the first CPG turns.
//   - A command gets its place within scsi.Late of its arrival or never.
//   - Nothing that changes a volume has a place while the other array, a member, may not
//     know of the volume.
//   - A copy of pages ends while both arrays have one description, and begins anew if its
//     target refuses the end.
//
// # Concurrency
//
// Exported methods may be called from any goroutine; they post to the loop and
// do not wait, unless they say so. Callbacks (done functions, notices) come from
// the loop or from a reader's goroutine and must not block.
package group
