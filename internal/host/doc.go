// SPDX-License-Identifier: Apache-2.0

// Package host is a host with several paths, as Linux with dm-multipath and the
// ALUA device handler is one: it logs in to the portals of both arrays, finds out
// which paths lead to the same volume, follows the states that the arrays report,
// and hides the loss of a path from whoever reads and writes. The demo and the
// tests of failures use it, and what it measures is what a host would feel.
//
// # Rules
//
//   - Paths to the same WWN make a disk. Active/optimized ones are used in turn,
//     active/non-optimized ones only if there is no other.
//   - A path's state is what was last said of its port in REPORT TARGET PORT GROUPS,
//     by either array. It is asked for on a new connection, after unit attention
//     2A/06, and where sense 02/04/0B or 0C contradicts it.
//   - TEST UNIT READY, every 100 ms on every path, shows whether it still works.
//   - A command whose path breaks, or that meets 02/04/0B or 0C, is sent again on
//     another path. BUSY and unit attentions are sent again on the same.
//   - With no usable path commands wait, up to a number and a time.
//   - Everything else that is not GOOD is the caller's: a host-visible error.
//
// # Invariants
//
//   - A connection given up is reset, so that nothing of it that the network still
//     holds reaches the array later through this host's own retransmissions.
//   - A command is on one path at a time.
//
// # Concurrency
//
// Every path has a goroutine that connects, checks and connects again. Disk's
// methods may be called from any goroutine and block until the command ended.
package host
