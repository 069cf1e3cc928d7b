// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// slots says which places of the page file are used. A slot is taken in memory
// before the page is written; the map's transaction makes that durable together
// with what refers to it, so that a crash leaks nothing. The pool's lock guards it.
type slots struct {
	words []uint64 // a bit per slot of the file; 1 is used
	used  int64
	next  int64 // where the search begins
	dirty map[int64]struct{}
	limit int64
}

func (s *slots) load(tx *bolt.Tx) error {
	s.dirty = map[int64]struct{}{}
	return tx.Bucket([]byte(slotBucket)).ForEach(func(k, v []byte) error {
		v, err := unseal(slotBucket, k, v, chunkSlots/8)
		if err != nil || len(k) != 8 {
			return fmt.Errorf("map has a damaged allocation chunk %x: %w", k, err)
		}
		chunk := int64(binary.BigEndian.Uint64(k))
		if chunk < 0 || chunk > 1<<32/chunkSlots {
			return fmt.Errorf("map has an allocation chunk %d beyond any file", chunk)
		}
		s.grow((chunk + 1) * chunkSlots)
		for i := range chunkSlots / 64 {
			w := binary.LittleEndian.Uint64(v[i*8:])
			s.words[chunk*chunkSlots/64+int64(i)] = w
			s.used += int64(bits.OnesCount64(w))
		}
		return nil
	})
}

func (s *slots) grow(n int64) {
	if need := (n + 63) / 64; need > int64(len(s.words)) {
		s.words = append(s.words, make([]uint64, need-int64(len(s.words)))...)
	}
}

// take marks n free slots used and returns them in order.
func (s *slots) take(n int) ([]int64, error) {
	if s.used+int64(n) > s.limit {
		return nil, array.Errorf(array.Full, "pool is full: %d of %d pages are used and %d more are needed", s.used, s.limit, n)
	}
	s.grow(min(s.limit, (s.used+int64(n)+chunkSlots)/chunkSlots*chunkSlots))
	out := make([]int64, 0, n)
	for range 2 { // from next to the end, and once around
		for ; len(out) < n && s.next < s.limit && s.next/64 < int64(len(s.words)); s.next++ {
			w := s.words[s.next/64]
			if w == ^uint64(0) {
				s.next |= 63
			} else if w>>(s.next%64)&1 == 0 {
				s.set(s.next, true)
				out = append(out, s.next)
			}
		}
		if len(out) == n {
			return out, nil
		}
		s.next = 0
	}
	s.give(out)
	return nil, array.Errorf(array.Full, "pool is full: no %d free pages were found below %d", n, s.limit)
}

func (s *slots) give(list []int64) {
	for _, slot := range list {
		s.set(slot, false)
	}
}

func (s *slots) set(slot int64, used bool) {
	bit := uint64(1) << (slot % 64)
	if was := s.words[slot/64]&bit != 0; was == used {
		return
	}
	s.words[slot/64] ^= bit
	s.dirty[slot/chunkSlots] = struct{}{}
	if used {
		s.used++
	} else {
		s.used--
	}
}

// save writes what changed, with the slots in freed already free: they may be
// taken only after the transaction, but it is the one that frees them.
func (s *slots) save(tx *bolt.Tx, freed []int64) error {
	chunks := map[int64]struct{}{}
	for c := range s.dirty {
		chunks[c] = struct{}{}
	}
	for _, slot := range freed {
		chunks[slot/chunkSlots] = struct{}{}
	}
	for c := range chunks {
		v := make([]byte, chunkSlots/8)
		for i := range int64(chunkSlots / 64) {
			if at := c*chunkSlots/64 + i; at < int64(len(s.words)) {
				binary.LittleEndian.PutUint64(v[i*8:], s.words[at])
			}
		}
		for _, slot := range freed {
			if slot/chunkSlots == c {
				v[slot%chunkSlots/8] &^= 1 << (slot % 8)
			}
		}
		if err := put(tx, slotBucket, numberKey(uint64(c)), v); err != nil {
			return err
		}
	}
	return nil
}

func slotOffset(slot uint32) int64 { return int64(slot-1) * block.Page }
