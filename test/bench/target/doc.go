// SPDX-License-Identifier: Apache-2.0

// Command target measures the array as an iSCSI target beside two that many know, tgt and
// istgt, with initiators that are not ours: libiscsi's iscsi-perf for reads and qemu-img
// bench for writes. It prints a line a figure,
//
//	name value unit peer ratio budget met|missed
//
// once with all data in memory (tmpfs) and once on a disk. The reach of the path as such is
// shown by a bare echo over TCP, in Go, of messages of the same sizes. Its exit status says
// whether the run worked, not what was met.
//
// # Invariants
//
//   - All targets of a medium run at once, and have their turns one after the other in every
//     round, so that what else the machine does bears on all of them. A turn begins when the
//     targets are quiet.
//   - tgt writes through, as the array does: what is acknowledged is on the medium. istgt
//     does not, though it is told to have no write cache: it neither opens its file so nor
//     flushes it. Its writes are shown, and nothing is promised beside them.
//   - Reads are of what all targets have in memory: each volume is read once before, and the
//     array's cache has room for all of it, as the kernel's has for the peers' files.
//   - The echo and the array's answers beside it are of one asker, which does the same for
//     both; libiscsi takes as long for a command as such a way there and back.
//   - A figure is the median of the rounds, a ratio the median of the rounds' ratios.
package main
