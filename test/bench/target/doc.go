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
//   - Peers write through, as the array does: what is acknowledged is on the medium.
//   - A figure is the median of the rounds, a ratio the median of the rounds' ratios.
package main
