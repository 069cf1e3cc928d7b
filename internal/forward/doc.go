// SPDX-License-Identifier: Apache-2.0

// Package forward sends events to syslog servers and webhooks.
//
// # Invariants
//
//   - Who tells of an event never waits for a receiver: each receiver has a place in the
//     log, which is bounded, and reads on from there when it can. What fell out of the log
//     meanwhile is counted, and told.
//   - An event that could not be sent is sent again, in order, so a receiver may get one
//     twice. Over UDP, and in the last moments of a TCP connection, nobody can know.
//   - What a receiver answers is bounded, and says success or failure only.
//
// # Concurrency
//
// A Forwarder has one goroutine, which is Run's caller.
package forward
