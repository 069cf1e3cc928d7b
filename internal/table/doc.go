// SPDX-License-Identifier: Apache-2.0

// Package table prints what commands list, in the incumbent's two forms: columns for
// people, and comma-separated values for their scripts.
//
// # Invariants
//
//   - Both forms have the same columns, rows and total, in the same order.
//   - A value never breaks the form: in CSV one with a comma, quotation mark or line end is
//     quoted, in columns a line end becomes a space.
//
// A Table is for one goroutine.
package table
