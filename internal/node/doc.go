// SPDX-License-Identifier: Apache-2.0

// Package node is one array: its configuration, its objects (CPGs, virtual
// volumes, hosts, VLUNs, groups), the commands on them, and the composition of all
// that carries them out. No host byte passes through it.
//
// # Invariants
//
//   - An object is stored before it is used, and removed from use before it is
//     removed from the store.
//   - What belongs to a group is described as a whole and pushed to the other array
//     by the serving one, on every change and every contact; taking up a description
//     twice is taking it up once. What is stored is not refused: an error after that is
//     unfinished, and the change is told again.
//   - A failed command changes nothing here. One that concerns both arrays is tried
//     at the other first.
//   - In which domain an object is, says the book of placings, by kind and name, on both
//     arrays; a volume is where its CPG is. What a command's words name is looked up when
//     they are read, and so before it does anything; faces get facts from a View only.
//   - What goes on by itself (copies, schedules, expiry) is part of the description, and
//     done by the array that serves the group. A schedule's run is noted on both arrays
//     before it is begun.
//
// # Concurrency
//
// Commands run one at a time, under one lock; looking never waits for a command.
package node
