// SPDX-License-Identifier: Apache-2.0

package replication

import "github.com/perdure/perdure/internal/array"

// MaxSegments bounds what is remembered of the past. A copy whose log forked
// before the oldest segment is copied whole.
const MaxSegments = 256

// Segment is the part of a log that one owner wrote in one term.
type Segment struct {
	Epoch array.Epoch
	Term  array.Term
	Owner array.Side
	// Last is the place of its last record.
	Last array.Place
}

// Fork returns the place of the last record that the two logs share, 0 if none
// is known. Logs are given oldest segment first.
func Fork(a, b []Segment) array.Place {
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i].Epoch == b[j].Epoch && a[i].Term == b[j].Term {
				return min(a[i].Last, b[j].Last)
			}
		}
	}
	return 0
}

// Extend notes that a log ends at pos, in a term of owner.
func Extend(s []Segment, pos array.Position, owner array.Side) []Segment {
	if n := len(s); n > 0 && s[n-1].Epoch == pos.Epoch && s[n-1].Term == pos.Term {
		s[n-1].Last = pos.Place
		return s
	}
	if len(s) == MaxSegments {
		s = append(s[:0:0], s[1:]...)
	}
	return append(s, Segment{Epoch: pos.Epoch, Term: pos.Term, Owner: owner, Last: pos.Place})
}

// CutSegments drops what lies beyond place after.
func CutSegments(s []Segment, after array.Place) []Segment {
	for len(s) > 0 {
		n := len(s) - 1
		start := array.Place(0)
		if n > 0 {
			start = s[n-1].Last
		}
		if after > start || n == 0 && after > 0 {
			s[n].Last = min(s[n].Last, after)
			return s
		}
		s = s[:n]
	}
	return s
}
