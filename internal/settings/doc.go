// SPDX-License-Identifier: Apache-2.0

// Package settings tells of configuration files: which keys there are where one is that is
// not known.
//
// # Invariants
//
//   - The keys are those of the struct that the file is read into, by its toml tags: nothing
//     is listed twice.
//
// It does no I/O.
package settings
