// SPDX-License-Identifier: Apache-2.0

// Package progress says how far a long command is: what the array that carries it out
// tells, and what people are shown. A Meter is used by one goroutine.
package progress
