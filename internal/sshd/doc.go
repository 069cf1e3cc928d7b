// SPDX-License-Identifier: Apache-2.0

// Package sshd is the command line over SSH: single commands, and a shell that looks to
// scripts as the incumbent's does. The protocol is that of golang.org/x/crypto/ssh.
//
// # Invariants
//
//   - Nothing is run for one who has not logged in, or whose session is over. Who somebody
//     is comes from the very callback that let him in, not from what he claimed before.
//   - Connections, those that have not logged in yet, channels, lines, and the time that
//     each may take are bounded. Nothing but sessions is offered: no forwarding, no files.
//   - In a shell, the lines that were sent before the first prompt are shown as they came,
//     as a terminal would; then each again behind its prompt, when its turn comes. Lines end
//     with CR LF.
//   - A command ends when whoever gave it is gone.
//
// # Concurrency
//
// One goroutine a listener, connection and channel; all end with Close, which waits for
// commands, but not for ever.
package sshd
