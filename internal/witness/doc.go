// SPDX-License-Identifier: Apache-2.0

// Package witness is the third place at which two arrays record who may serve: a
// set of durable registers that change by compare-and-swap, a server that offers
// them over HTTPS, and the client that arrays use. It decides nothing, contacts
// nobody and knows nothing of what the values mean.
//
// # Invariants
//
//   - A swap that was answered with OK is on disk, and so is everything that the
//     same request changed: one request is one transaction.
//   - A register changes only if the swap names its present version, and its
//     version then grows by one. A swap that took effect already is answered with
//     OK again while its result still stands, so that a lost answer can be asked
//     for by repeating the request.
//   - In one incarnation a version of a register has one value, also of one that was
//     removed and created again: whoever knows the version knows the value.
//   - A swap names the incarnation it was prepared in and is refused in another.
//     The incarnation is drawn at each start and never stored: a witness that was
//     wiped, restored from a copy or cloned can change nothing that was not armed
//     in this very run.
//   - Only the two keys that created a register read or change it.
//   - After a failed commit nothing is answered from the store any more: whether
//     the change is on disk is not known, and a guess would be a lie.
//   - Requests, registers of a pair, clients and connections are all limited.
//
// # Concurrency
//
// Store, Server and Client may be used from any goroutine.
package witness
