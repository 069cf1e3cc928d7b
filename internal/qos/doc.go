// SPDX-License-Identifier: Apache-2.0

// Package qos limits how many commands, and how much data, hosts may give to volumes, by
// rules; and keeps those with a goal for their latency fast at the cost of the others.
//
// # Invariants
//
//   - Over any time, what was admitted under a rule is at most its limit times that time,
//     and what fits in burst; so many commands or bytes, and not one more.
//   - Who is not admitted within the time that he has is refused at once, and takes nothing
//     from those behind him.
//   - Two arrays that share a rule admit together, over any time, what one would admit: each
//     has a share of the limits, and none gets more before the other has less. One that
//     serves nothing under the rule has all of it, and so has one that begins to hear the
//     other: when both begin to serve beside each other, there can be twice the limit for two
//     seconds, and for as long as neither hears what the other says of the rule.
//   - A goal pushes no rule below its own minimum, and none of the same or a higher priority.
//
// # Concurrency
//
// Safe for concurrent use. It has no goroutine and no clock: whoever asks says what time it
// is, which grows.
package qos
