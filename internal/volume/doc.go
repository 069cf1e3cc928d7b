// SPDX-License-Identifier: Apache-2.0

// Package volume keeps the content of volumes: pages of 16 KiB in a pool's page
// file, a map that says where each page lies, and in memory the records that were
// applied since.
//
// # Use
//
//   - Committed records are given to Volume.Apply in the order of their places. It
//     never waits for the disk; Read shows them at once. Pool.Room bounds the
//     memory: ask before a record gets its place.
//   - The pool writes to pages by itself and says by OnDestaged how far a group is;
//     the journal may then let go. After a restart the records after Destaged are
//     applied again. Applying a record twice, with all behind it, does no harm.
//   - ChangedSince walks over the pages that were born, that is last written, after
//     a place. A page that was zeroed gives its slot back but keeps its birth.
//
// # Invariants
//
//   - A page is never overwritten: its new content goes to a free slot, is flushed,
//     and then one transaction of the map turns to it and frees the old slot. A
//     crash leaves the one or the other.
//   - A slot that a transaction freed is taken again only after the readers that
//     may have seen it can notice: see Volume.Read.
//   - All records of a group up to its destaged place are on pages. Pages may
//     already have later ones, which the journal still has.
//   - What Read returns was checked against the page's checksums.
//   - A block that is bad stays bad, over destages too, until Repair or a write that
//     covers it: zeros or an older content never take its place.
//   - Every value of the map has a seal; a map that is not whole is not opened.
//
// # Resync
//
// Between BeginResync and FinishResync of a group, what arrives goes to a shadow:
// PutPage and Apply change only that, and Read goes on to show the state at
// BeginResync. A record may be applied only to pages that were sent already, or
// that won't be; others come with PutPage, later, with the record in it. Finish
// turns to the shadow at once, with one small transaction.
//
// # Concurrency
//
// Apply and the resync of one group must come from one goroutine at a time;
// everything else may be called from any. Callbacks come without locks, but for
// Options.OnBad.
//
// # Caveats
//
// A pool is one file. Small writes near a full pool may find it full although a
// destage would free as much as it takes.
package volume
