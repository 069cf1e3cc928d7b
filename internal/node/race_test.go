// SPDX-License-Identifier: Apache-2.0

//go:build race

package node

// raced: the race detector watches.
const raced = true
