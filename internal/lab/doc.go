// SPDX-License-Identifier: Apache-2.0

// Package lab builds small networks of real machines' stand-ins on one kernel:
// nodes with network namespaces of their own, networks between them whose wires
// can be cut, slowed and made lossy in each direction, and processes on the nodes
// that can be stopped, continued and killed. Tests and the demo use it; it needs
// neither root nor tools nor /dev/net/tun, only user namespaces.
//
// A network is an Ethernet switch in this process: every node attached has one end
// of a pair of virtual devices, the switch reads and writes whole frames at the
// other. So ARP, address takeover and carrier work as on real ones, a cut takes
// effect with the next packet, and delays are exact to some ten microseconds.
// Segments of 64 KiB pass in one piece, so that speed is not far from a real wire's.
//
// Call Main around everything in TestMain or main: without root it runs the
// program again in a user namespace of its own.
//
// # Invariants
//
//   - Nothing of a lab outlives it: processes are killed with all they started,
//     and namespaces go with the last process. Processes die even when this one is
//     killed.
//   - A wire delivers in order, unless it is lossy.
//   - Frames in flight when a wire is cut are lost.
//
// # Concurrency
//
// All methods may be called from any goroutine.
package lab
