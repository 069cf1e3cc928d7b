// SPDX-License-Identifier: Apache-2.0

// Package people knows who may give commands: users with their roles, passwords and SSH
// keys, and the sessions of those who have logged in.
//
// # Invariants
//
//   - What a role may do stands in one table. Who has no role may do nothing. A role is one
//     for all, or for what is in a domain; what is in a domain, others know.
//   - A password is kept as its argon2id hash only, and is never told, logged or shown.
//   - A user is one on both arrays of a pair. A change says what the user was, so that the
//     other array can tell whether it means the same one; making it again changes nothing.
//   - A session ends with its user, and when the user's roles, default domain or
//     password change.
//   - Wrong passwords lock a user out for the address they come from, and after many more
//     for all addresses. Keys are not locked: they can't be guessed.
//   - Sessions, users, keys, hashes under way and what is remembered of failures are bounded.
//
// # Concurrency
//
// A Book is safe for concurrent use. It has no clock: whoever asks says what time it is.
package people
