// SPDX-License-Identifier: Apache-2.0

// Package report prints what a benchmark measured against what it has to reach: a line a
// figure, and how many budgets were met; and reads what of the processors a process took.
//
// # Concurrency
//
// It may be used from one goroutine at a time.
package report
