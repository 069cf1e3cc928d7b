// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
)

// chunkUnits is how many units one value of the allocation map describes.
const chunkUnits = 4096 * 8

// maxUnits is how many units a page file may have: what an entry can address.
const maxUnits = 1 << addrBits

// run is a page's units.
type run struct {
	addr int64
	n    int
}

// units says which units of the page file are used. Units are taken in memory before
// they are written; the map's transaction makes that durable together with what refers
// to them, so that a crash leaks nothing. The pool's lock guards it.
//
// The units of a page lie in one aligned group of pageUnits, so that whole pages find
// room as long as a group is free.
type units struct {
	words []uint64 // a bit per unit of the file; 1 is used
	used  int64
	whole int64 // where the search for whole pages begins: a word
	parts int64 // where the search for packed ones begins: a word
	dirty map[int64]struct{}
	limit int64
}

func (s *units) load(tx *bolt.Tx) error {
	s.dirty = map[int64]struct{}{}
	return tx.Bucket([]byte(unitBucket)).ForEach(func(k, v []byte) error {
		v, err := unseal(unitBucket, k, v, chunkUnits/8)
		if err != nil || len(k) != 8 {
			return errors.Join(err, array.Errorf(array.Medium, "map has a damaged allocation chunk %x", k))
		}
		chunk := int64(binary.BigEndian.Uint64(k))
		if chunk < 0 || chunk >= maxUnits/chunkUnits {
			return array.Errorf(array.Medium, "map has an allocation chunk %d beyond any file", chunk)
		}
		s.grow((chunk + 1) * chunkUnits)
		for i := range chunkUnits / 64 {
			w := binary.LittleEndian.Uint64(v[i*8:])
			s.words[chunk*chunkUnits/64+int64(i)] = w
			s.used += int64(bits.OnesCount64(w))
		}
		return nil
	})
}

func (s *units) grow(n int64) {
	if need := (n + 63) / 64; need > int64(len(s.words)) {
		s.words = append(s.words, make([]uint64, need-int64(len(s.words)))...)
	}
}

// take marks runs of the given sizes used and returns where they are. Nothing is taken
// if not all are found.
func (s *units) take(sizes []int) ([]int64, error) {
	out := make([]int64, 0, len(sizes))
	for i, n := range sizes {
		cursor := &s.parts
		if n == pageUnits {
			cursor = &s.whole
		}
		addr := s.find(n, cursor)
		if addr < 0 {
			for k, a := range out {
				s.give(run{a, sizes[k]})
			}
			return nil, array.Errorf(array.Full, "the CPG is full: %d of %d units of %d bytes are used, and no %d together are free", s.used, s.limit, unitSize, n)
		}
		s.set(run{addr, sizes[i]}, true)
		out = append(out, addr)
	}
	return out, nil
}

// find returns where n free units begin in one group, from the cursor on and once
// around, or -1.
func (s *units) find(n int, cursor *int64) int64 {
	last := (s.limit + 63) / 64
	for range 2 {
		for ; *cursor < last; *cursor++ {
			if *cursor >= int64(len(s.words)) {
				s.grow(min(last*64, int64(len(s.words))*64+chunkUnits))
			}
			if at := fit(s.words[*cursor], n); at >= 0 && *cursor*64+int64(at+n) <= s.limit {
				return *cursor*64 + int64(at)
			}
		}
		*cursor = 0
	}
	return -1
}

// fit returns the first place of n free units inside a group of the word, or -1.
func fit(w uint64, n int) int {
	if w == ^uint64(0) {
		return -1
	}
	want := uint64(1)<<n - 1
	for group := 0; group < 64; group += pageUnits {
		for at := 0; at+n <= pageUnits; at++ {
			if w>>(group+at)&want == 0 {
				return group + at
			}
		}
	}
	return -1
}

func (s *units) give(r run) { s.set(r, false) }

func (s *units) set(r run, used bool) {
	mask := (uint64(1)<<r.n - 1) << (r.addr % 64)
	w := &s.words[r.addr/64]
	s.used -= int64(bits.OnesCount64(*w & mask))
	*w &^= mask
	if used {
		*w |= mask
		s.used += int64(r.n)
	}
	s.dirty[r.addr/chunkUnits] = struct{}{}
}

// inside reports whether a run could have been taken.
func (s *units) inside(r run) bool {
	return r.n > 0 && r.addr >= 0 && r.addr%pageUnits+int64(r.n) <= pageUnits && r.addr/64 < int64(len(s.words))
}

// save writes what changed, with the freed runs already free: they may be taken only
// after the transaction, but it is the one that frees them.
func (s *units) save(tx *bolt.Tx, freed []run) error {
	chunks := map[int64][]run{}
	for c := range s.dirty {
		chunks[c] = nil
	}
	for _, r := range freed {
		if !s.inside(r) {
			return array.Errorf(array.Medium, "free %d units at %d: there are none", r.n, r.addr)
		}
		chunks[r.addr/chunkUnits] = append(chunks[r.addr/chunkUnits], r)
	}
	for c, free := range chunks {
		words := make([]uint64, chunkUnits/64)
		copy(words, s.words[c*chunkUnits/64:])
		for _, r := range free {
			words[r.addr%chunkUnits/64] &^= (uint64(1)<<r.n - 1) << (r.addr % 64)
		}
		v := make([]byte, 0, chunkUnits/8)
		for _, w := range words {
			v = binary.LittleEndian.AppendUint64(v, w)
		}
		if err := put(tx, unitBucket, numberKey(uint64(c)), v); err != nil {
			return fmt.Errorf("save allocation chunk %d: %w", c, err)
		}
	}
	return nil
}
