// SPDX-License-Identifier: Apache-2.0

// Package demo shows a pair of arrays surviving what it is made for: real
// processes in network namespaces, a host that verifies every block, a switchover,
// a killed array, a cut link, and a witness that is lost first. It needs no root.
package demo
