// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole pair in one process under simulated time: the production
// code of groups, both cores, journals, volumes and leases, over disks that lose what
// was not synced, are slow, damage pages, and are full, a network that delays, cuts and
// breaks, clocks that drift, processes that stand still, a witness that dies and is wiped,
// programs that are upgraded from a former format, and hosts that write numbered blocks
// through both arrays, lose patience, log in anew, and hold every read against what was
// acknowledged. A seed decides the whole run.
//
// The simulator lives in the package's tests: `go test ./internal/sim` runs some
// seeds, `-sim.seed N` one of them with its trace, `-sim.runs N` more of them; `make sim N=n`
// plays n short ones, each with three faults and at least 200 host operations. A failure
// prints the command that replays it, and what happened with the fewest faults that it takes.
// Time is that of testing/synctest: it stands
// still while anything runs, so a run is decided by its events and not by the machine.
package sim
