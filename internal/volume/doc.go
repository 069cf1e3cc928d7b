// SPDX-License-Identifier: Apache-2.0

// Package volume keeps the content of volumes and snapshots: pages of 16 KiB in a
// pool's page file, a map that says where each page lies, and in memory the records that
// were applied since.
//
// # Use
//
//   - Committed records are given to Volume.Apply in the order of their places. It
//     never waits for the disk; Read shows them at once. Pool.Room bounds the
//     memory: ask before a record gets its place.
//   - The pool writes to pages by itself and says by OnDestaged how far a group is;
//     the journal may then let go. After a restart the records after Destaged are
//     applied again. Applying a record twice, with all behind it, does no harm.
//   - Volume.Freeze takes its turn among the records and makes a snapshot of what was
//     applied before. Pool.Branch makes a volume from a snapshot. Differ lists the pages
//     written between two snapshots.
//   - ChangedSince walks over the pages that were born, that is last written, after
//     a place. A page that was zeroed gives its space back but keeps its birth.
//   - How pages are stored is the volume's choice: packed or not, each alone or, of a
//     deduplicated volume, once for all pages of that content. Zeros are never stored.
//     Of a plain page of which few blocks change only those are written: see split.go.
//
// # Invariants
//
//   - A page is never overwritten: its new content, or that of its changed blocks, goes to
//     free units, is flushed, and then one transaction of the map turns to it and lets go
//     of the old ones. A crash leaves the one or the other.
//   - Units are free when no entry of any volume or snapshot has them. Entries beyond
//     the first that have the same ones are counted in the map, in the same transaction.
//   - Units that a transaction freed are taken again only after the readers that
//     may have seen them can notice: see Volume.Read.
//   - All records of a group up to its destaged place are on pages, for good: those that
//     are applied again change nothing. Pages may already have later ones, which the
//     journal still has.
//   - What was applied before a snapshot is on pages, and the snapshot in the map, before
//     a later record of that volume is put on pages. Applied again after a crash, records
//     and entries up to that place change nothing that a snapshot shows.
//   - A snapshot has entries of its own only for pages written since: see chain.go.
//   - What Read returns was checked against the page's checksums.
//   - A block that is bad stays bad, over destages too, until Repair or a write that
//     covers it: zeros or an older content never take its place.
//   - Every value of the map has a seal; a map that is not whole is not opened.
//   - What the journal names outside of itself is on units that are held: Pool.units. They
//     may become an entry's, once, and are free when neither holds them.
//
// # Resync
//
// Between BeginResync and FinishResync of a group, what arrives goes to a shadow:
// PutPage and Apply change only that, and Read goes on to show the state at
// BeginResync. A record may be applied only to pages that were sent already, or
// that won't be; others come with PutPage, later, with the record in it. Finish
// turns to the shadow at once, with one small transaction. Snapshots show what they did
// all the while; none can be made meanwhile.
//
// # Concurrency
//
// Apply, Freeze and the resync of one group must come from one goroutine at a time;
// everything else may be called from any. Callbacks come without locks, but for
// Options.OnBad and OnRoom. Locks are taken
// in the order single, a volume's mu, the pool's mu.
//
// # Caveats
//
// A pool is one file or one device; on a device the last page is a label that ties it to
// its map. Small writes near a full pool may find it full although a destage would free as
// much as it takes; so may packed pages, which need their units side by side. A snapshot
// that can't be made because the pool is full holds up what comes after it.
package volume
