// SPDX-License-Identifier: Apache-2.0

// Package block has the buffers in which host data travel through the daemon:
// read once from the socket, then shared by the journal, the link, the overlay
// and the destager until the last of them lets go.
//
// # Invariants
//
//   - A buffer starts at an address divisible by Align, so that it can be handed
//     to direct I/O.
//   - The bytes handed out by a Pool at any moment never exceed its limit. Who
//     finds it empty waits or refuses; nobody allocates around it.
//   - A Share never takes another's guarantee, and beyond its own leaves room for one
//     more user: no user of a pool with shares can starve another.
//   - A Buffer belongs to whoever holds a reference. Its bytes may be written only
//     by the one who got it, until it is shared with Retain.
//   - A buffer's content at Get is whatever it held before: callers overwrite all
//     of it or call Zero.
//
// # Concurrency
//
// Every method may be called from any goroutine, except Resize, which is for the
// only holder.
package block
