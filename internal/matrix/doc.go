// SPDX-License-Identifier: Apache-2.0

// Package matrix holds the failure matrix: what may be lost, in which order, and
// what must come of it. The rows are in rows.txt, written before they were played.
// Two players read them: one steps the arbitration core alone, in simulated time;
// the other kills and cuts off real processes. Neither can write the expectation.
package matrix
