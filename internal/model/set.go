// SPDX-License-Identifier: Apache-2.0

package model

import (
	"sync"
	"sync/atomic"
)

// set is a set of fingerprints: open addressing in one table made for the whole
// search, in stripes so that the workers don't wait for each other. A world whose
// fingerprint collides with another's is missed; with 64 bits and a hundred million
// worlds the chance of one such is below one in a thousand.
type set struct {
	stripes [64]sync.Mutex
	table   []uint64
	n       atomic.Int64
}

func newSet(states int) *set {
	size := 1 << 16
	for size < 2*states {
		size *= 2
	}
	return &set{table: make([]uint64, size)}
}

// add reports whether h was new. Fingerprint 0 stands for 1. Probing stays within
// the stripe's share of the table.
func (s *set) add(h uint64) bool {
	if h == 0 {
		h = 1
	}
	share := len(s.table) / len(s.stripes)
	stripe := int(h % uint64(len(s.stripes)))
	s.stripes[stripe].Lock()
	defer s.stripes[stripe].Unlock()
	part := s.table[stripe*share : (stripe+1)*share]
	at := int(h / uint64(len(s.stripes)) % uint64(share))
	for range share {
		switch part[at] {
		case h:
			return false
		case 0:
			part[at] = h
			s.n.Add(1)
			return true
		}
		at = (at + 1) % share
	}
	return false
}

func (s *set) len() int { return int(s.n.Load()) }
