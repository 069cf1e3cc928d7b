// SPDX-License-Identifier: Apache-2.0

// Package link carries frames between two arrays. What they mean is the user's.
//
// A relation has several links, each between an address here and one there. On
// each link there are one control connection and some data connections, all under
// TLS 1.3 with both keys pinned. The side with the smaller key connects, the other
// one listens; connections that break are made again for as long as the Peer is
// open.
//
// # Invariants
//
//   - A frame is delivered at most once and whole, or not at all. Header and
//     payload have their own checksums: TLS guards the way, these the ends.
//   - Frames of one class are delivered in the order of Send for as long as they
//     travel on one connection. Data frames of one key stay on one connection until
//     it breaks, or until the other side has handled all that were sent on it.
//   - When a connection breaks, anything sent on it may be lost, and its last frames
//     may be delivered after the first ones of another. Each connection has a
//     generation; Down ends it, and nothing of it is delivered afterwards.
//   - Send never waits for the network. Each connection's queue is bounded in frames
//     and bytes; a peer that doesn't read is found by a write deadline, one that
//     doesn't answer by unanswered pings.
//   - A connection is refused, in words that the other side can show, for a foreign
//     key, another protocol version, this array's own system id, an unexpected
//     system id or an unknown link.
//
// # Concurrency
//
// All methods may be called from any goroutine. A connection's events come from
// one goroutine: Up, then frames in order, then Down. Different connections'
// events come concurrently.
package link
