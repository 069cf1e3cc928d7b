// SPDX-License-Identifier: Apache-2.0

// Package remote gives commands of the command line to an array over HTTPS, as a user who
// logs in there.
//
// # Invariants
//
//   - Nothing is sent, least of all a password, before the array has proved the key that
//     was asked for, or shown a certificate that this machine trusts.
//   - A session that it began is ended by Close; one that was given to it is not.
//   - A command is sent once. Only one that was refused because the session was over is
//     given again, after a new login.
//
// # Concurrency
//
// A Client gives one command at a time.
package remote
