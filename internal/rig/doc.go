// SPDX-License-Identifier: Apache-2.0

// Package rig is a pair of arrays, its witness and a host as real processes in a
// lab: what the demo shows and the tests of the whole are played on. Processes are
// killed, stopped and cut off as machines are; nothing inside them helps.
package rig
