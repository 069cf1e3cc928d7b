// SPDX-License-Identifier: Apache-2.0

// Package takeover lets an array stand in at the portal addresses of the other one, when
// that is gone: a host whose connection leads nowhere gets an answer, logs in again at the
// same address, and finds the same units, long before its own timers have run out.
//
// Addresses that may be taken over are not the machine's by configuration. The daemon
// gives them a lifetime in the kernel and renews it, so that they are gone soon after the
// daemon, the machine or its right to them is.
//
// # Invariants
//
//   - An array has its own addresses only while it has the other's lease and the word that
//     the other does not hold them, or serves a group alone by its record, or has no
//     mirrored group.
//   - It stands in only while it serves every mirrored group alone by its record, and only
//     Gone after all leases that it granted have surely ended: by then whatever the other
//     array last renewed under one of them has run out. It stops as soon as the other asks
//     for a lease again, and says that it has before it would grant one without a mark.
//   - Nobody on the network answers for an address of the other array when it is taken. For
//     an own one nobody is asked: after a person forced one side, both may have it.
//   - Lifetimes run by the kernel's ticks, the waiting by a clock that goes on while a machine
//     sleeps: on one that was suspended an address may outlive Gone by its lifetime.
//   - A lease, a record, or who may serve never depends on an address.
//
// # Concurrency
//
// Rules is stepped by one goroutine. A Keeper runs one of its own until Close.
package takeover
