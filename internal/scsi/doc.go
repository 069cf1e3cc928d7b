// SPDX-License-Identifier: Apache-2.0

// Package scsi turns command descriptor blocks into reads, mutations and
// reservation requests of a Unit, and their outcomes into status and sense. It
// knows SPC-4, SBC-4 and SAM-5 and neither the transport above (iscsi) nor where
// the bytes live below (the Unit, which the group implements).
//
// # A command's life
//
//	transport               scsi                          Unit
//	  Prepare(c) ─────────▶ LUN, attentions, rights, CDB
//	  ◀── wants n bytes
//	  gathers c.Out
//	  Execute(c) ─────────▶ handler ────────────────────▶ Read, Mutate, Reserve
//	  ◀───────────────────────── Done(c) ◀──────────────── done(err)
//
// Prepare answers false when the command needs no data or ends early: Done then
// comes, or came already, without Execute. Done is called exactly once for every
// command that was prepared and not dropped, from any goroutine.
//
// # Invariants
//
//   - Done comes only when the unit is quiet about the command: no later effect.
//   - A command is handed to the unit within Late of its arrival or answered BUSY.
//   - An answer that reveals the unit's state (RESERVATION CONFLICT, an address
//     out of range, READ CAPACITY, PERSISTENT RESERVE IN) rests on Unit.Inspect,
//     never on a snapshot alone: a snapshot may be from before a takeover.
//   - A write carries the reservation revision it was checked under; the unit
//     refuses another, and the command is checked again.
//   - Several hosts take turns with what is read and written (turns.go): one with few
//     commands doesn't wait behind one with many. Nobody waits for commands that are
//     held elsewhere, so units that are stuck don't stop others.
//   - EXTENDED COPY is reads and writes of ordinary ops, each with its unit's rights and
//     resets; what it holds in memory at a time is bounded over all hosts.
//   - Every parameter list, allocation length and transfer is bounded; data beyond
//     block.MaxIO is refused as the block limits page announces.
//   - Which error kind becomes which status is written once, in outcome.go; which
//     commands there are and what they need, once, in table.go.
//
// # Concurrency
//
// Commands run concurrently. A Command belongs to the transport before Prepare
// and after Done, to this package between; only Abort may come at any time.
package scsi
