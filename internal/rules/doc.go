// SPDX-License-Identifier: Apache-2.0

// Package rules holds the rules of the house as tests: who may import whom and
// why, what a file must have, and which words and constructs have no place here.
// It has no code of its own.
//
// # Invariants
//
//   - Every package of the module stands in the table of imports. One that does
//     not is an error: decide where it belongs before it grows.
//   - Every line of the table gives its reason, so that who wants to change it
//     knows what is lost.
package rules
