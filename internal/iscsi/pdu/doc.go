// SPDX-License-Identifier: Apache-2.0

// Package pdu is the wire format of iSCSI (RFC 7143 chapter 11): headers, data
// segments, digests and text. Target and initiator share it.
//
// # Invariants
//
//   - A Reader never allocates by what the peer says beyond its MaxData.
//   - A data segment is consumed completely (Data or Discard) before the next
//     header is read; Next sees to it.
//   - Text is bounded: MaxPairs pairs, MaxKey and MaxValue bytes each.
//
// # Concurrency
//
// A Reader belongs to one goroutine. The functions keep no state.
package pdu
