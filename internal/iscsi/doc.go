// SPDX-License-Identifier: Apache-2.0

// Package iscsi is an iSCSI target (RFC 7143): portals, login with CHAP,
// sessions, the flow of commands and data, task management. What the commands
// mean is package scsi's.
//
// # A connection
//
//	socket ─▶ reader goroutine ─▶ scsi ─▶ unit
//	                                        │ any goroutine
//	socket ◀─ writer goroutine ◀─ queue ◀───┘
//
// The reader parses and submits, and never waits for a command: commands of a
// session run concurrently. The writer takes everything that is queued, gives out
// StatSN, and writes it in one go. When the reader is about to wait for its socket
// it sends little answers itself, as far as that needs no waiting (direct.go).
//
// # Invariants
//
//   - A command whose connection ends is aborted, and the session's place is taken
//     by a new login only when all its commands are quiet.
//   - A task management response is sent when the commands it is about are quiet.
//   - Bytes that lay in a socket while nobody read it for scsi.Late (backpressure,
//     a stopped process, a suspended machine) are never executed: the connection is
//     closed with them unread.
//   - The reader blocks on nothing but its socket. Without memory for a command's
//     data the command is answered BUSY.
//   - Bounded: sessions, logins under way, commands of a session (by MaxCmdSN),
//     immediate commands, text, queued responses, and host data by the block.Pool.
//   - Bounded for each host, known by its initiator name once login has proved it:
//     sessions, connections, commands (its sessions' windows divide them) and data.
//     What is beyond is refused with status 0302, waits behind the window, or gets TASK
//     SET FULL; nobody's limits depend on what others do.
//   - A flood of logins from some addresses keeps out nobody who comes from another.
//
// One connection per session, error recovery level 0.
//
// # Concurrency
//
// The gathering of data belongs to the reader. conn.mu guards the table of tasks
// and what the completion of a command, which may come on any goroutine, shares
// with it. output.mu guards the queue to the writer, output.sending the writing.
// Target.mu guards the sessions. No lock is held while scsi is called.
package iscsi
