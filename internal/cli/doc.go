// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of administrators: it sets a pair and its
// witness up, tells what hosts need to be told, and passes the array's commands on to an
// array.
package cli
