// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole pair in one process under simulated time: the production
// code of groups, both cores, journals, volumes and leases, over disks that lose what
// was not synced, a network that delays, cuts and breaks, a witness that dies and is
// wiped, and hosts that write numbered blocks through both arrays and hold every read
// against what was acknowledged. A seed decides the whole run.
//
// The simulator lives in the package's tests: `go test ./internal/sim` runs some
// seeds, `-sim.seed N` one of them with its trace, `-sim.runs N` more of them; `make sim N=n`
// plays n short ones, each with three faults and at least 200 host operations. A failure
// prints the command that replays it. Time is that of testing/synctest: it stands
// still while anything runs, so a run is decided by its events and not by the machine.
package sim
