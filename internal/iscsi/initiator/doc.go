// SPDX-License-Identifier: Apache-2.0

// Package initiator is a small iSCSI initiator for tests: it can do everything a
// host does with one connection, and, through Send, what no host should.
//
// # Invariants
//
//   - A Conn keeps the rules of RFC 7143 as long as only Do, Start, Manage, Ping,
//     Targets and Logout are used.
//   - Close ends every goroutine; calls under way then fail.
//
// # Concurrency
//
// Every method may be called from any goroutine; Answer is called on the
// receiving one and must not block.
package initiator
