// SPDX-License-Identifier: Apache-2.0

// Package journal is an array's durable log: the one thing that a host's
// acknowledgement waits for on this array. One journal holds the records of all
// groups, so that one flush serves them all.
//
// # Use
//
//   - SetBase begins a group at a position. Append then takes its records, each
//     with the next place and an epoch and term that never fall; anything else is
//     refused and nothing is taken.
//   - Append returns at once. When the disk holds a record, and with it all earlier
//     ones of its group, Options.Durable names its position. The
//     committer writes whatever is queued as soon as the flush before has ended; after
//     one of many records it waits briefly for the next of those hosts: see gather.go.
//   - Release says that records up to a place are no longer needed. Segments that
//     hold nothing else are used again.
//   - Cut takes back the end of a group's log, durably, for ever.
//   - A record may say how its payload is put elsewhere at once: see Outside.
//   - Reserve promises room before a place is given, so that a record that has a
//     place always fits.
//
// # On disk
//
// A directory holds a format file and segments of equal size, allocated when the
// journal is made. A segment starts with a header naming journal and sequence
// number, then flushes, each at a multiple of 4 KiB; a flush is records packed one
// behind another. Every segment's first record is a checkpoint, durable before any
// record follows; recovery starts from the last checkpoint of the newest segment.
//
// # Invariants
//
//   - A flush is written only after the one before it is durable. So an invalid
//     record is a torn end exactly if no flush begins behind it; otherwise it is
//     damage, and Open says where instead of dropping what follows.
//   - A record's checksum covers journal, segment sequence, flush and offset: what
//     a recycled segment held before never passes for a record.
//   - A segment is written by one at a time: the prefiller takes one only while
//     neither it nor the committer has, and both take under the lock.
//   - A segment is written anew only after a durable checkpoint stopped naming it.
//   - What a record names outside is durable before the record counts and before anything
//     is written behind its flush, and dropped only when no crash can bring the record
//     back. A last flush that names what is not there is torn: see early.go.
//   - What a cut took away is excluded by the cut's location in the log, which
//     checkpoints carry for as long as an older segment still has such records.
//   - Recovery overwrites the torn end with zeros, durably, before it appends.
//
// # Caveats
//
// Damage of the very last flush can't be told from a torn write, and is taken for
// one; the other array's journal is what shows it. After a failed write or flush
// the journal is broken until it is opened again: nothing more becomes durable,
// because nothing is known about what the disk holds.
//
// # Concurrency
//
// All methods may be called from any goroutine. Durable and Failed are called
// from the committer, without locks; while Durable runs, nothing is flushed. Calls
// for one group must come from one goroutine at a time.
package journal
