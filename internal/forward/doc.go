// SPDX-License-Identifier: Apache-2.0

// Package forward sends events to syslog servers and webhooks, and as SNMP traps or informs.
//
// # Invariants
//
//   - Who tells of an event never waits for a receiver: each receiver has a place in the
//     log, which is bounded, and reads on from there when it can. What fell out of the log
//     meanwhile is counted, and told.
//   - An event that could not be sent is sent again, in order, so a receiver may get one
//     twice. Over UDP, and in the last moments of a TCP connection, nobody can know.
//   - What a receiver answers is bounded, and says success or failure only.
//   - Of SNMP only what sends is here: nothing listens. The array's engine id does not
//     change, and its starts are counted, as version 3 wants it of who sends traps.
//
// # Concurrency
//
// A Forwarder has one goroutine, which is Run's caller.
package forward
