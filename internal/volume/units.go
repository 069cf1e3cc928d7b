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
//
// What the journal names outside of itself is held, mapped or not: nothing else may be
// written there. Of that the map knows nothing; the journal does.
type units struct {
	words []uint64 // a bit per unit of the file; 1 is mapped, or about to be
	held  []uint64 // the same; 1 is held
	used  int64    // either
	whole int64    // where the search for whole pages begins: a word
	parts int64    // where the search for packed ones begins: a word
	wide  int64    // where the search for stretches of pages begins: a word
	dirty map[int64]struct{}
	limit int64
	end   int64 // of the file
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
		s.held = append(s.held, make([]uint64, need-int64(len(s.held)))...)
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
			return nil, fmt.Errorf("%w: %d of %d units of %d bytes are used, and no %d together are free", errScattered, s.used, s.limit, unitSize, n)
		}
		s.set(run{addr, sizes[i]}, true)
		out = append(out, addr)
	}
	return out, nil
}

// takeAll is take for sizes of which many may be single units, or whole pages: those go
// side by side, so that one write does for many.
func (s *units) takeAll(sizes []int) ([]int64, error) {
	var bySize [pageUnits + 1][]int64
	var rest []int
	single, whole := 0, 0
	for _, n := range sizes {
		switch n {
		case 1:
			single++
		case pageUnits:
			whole++
		default:
			rest = append(rest, n)
		}
	}
	others, err := s.take(rest)
	if err == nil {
		for i, a := range others {
			bySize[rest[i]] = append(bySize[rest[i]], a)
		}
		bySize[pageUnits], err = s.takePages(whole)
	}
	if err == nil {
		bySize[1], err = s.takeSingle(single)
	}
	if err != nil {
		for n, addrs := range bySize {
			for _, a := range addrs {
				s.give(run{a, n})
			}
		}
		return nil, err
	}
	out := make([]int64, len(sizes))
	for i, n := range sizes {
		out[i], bySize[n] = bySize[n][0], bySize[n][1:]
	}
	return out, nil
}

// takeSingle marks n units used, in stretches where there are some.
func (s *units) takeSingle(n int) ([]int64, error) {
	out := make([]int64, 0, n)
	for n-len(out) >= 64/2 {
		at := s.findWord()
		if at < 0 {
			break
		}
		for range min(64, n-len(out)) {
			s.set(run{at, 1}, true)
			out = append(out, at)
			at++
		}
	}
	sizes := make([]int, n-len(out))
	for i := range sizes {
		sizes[i] = 1
	}
	rest, err := s.take(sizes)
	if err != nil {
		for _, a := range out {
			s.give(run{a, 1})
		}
		return nil, err
	}
	return append(out, rest...), nil
}

// takePages marks units of n whole pages used, in stretches of many where there are some:
// one write then does for many pages. Nothing is taken if not all are found.
func (s *units) takePages(n int) ([]int64, error) {
	const stretch = 64 / pageUnits // pages of a word
	out := make([]int64, 0, n)
	for n-len(out) >= stretch/2 {
		at := s.findWord()
		if at < 0 {
			break
		}
		for range min(stretch, n-len(out)) {
			s.set(run{at, pageUnits}, true)
			out = append(out, at)
			at += pageUnits
		}
	}
	sizes := make([]int, n-len(out))
	for i := range sizes {
		sizes[i] = pageUnits
	}
	rest, err := s.take(sizes)
	if err != nil {
		for _, a := range out {
			s.give(run{a, pageUnits})
		}
		return nil, err
	}
	return append(out, rest...), nil
}

// findWord returns where 64 free units begin, or -1.
func (s *units) findWord() int64 {
	last := s.limit / 64
	if s.used*2 < s.end {
		last = min(last, s.end/64) // there is room enough: the file need not grow
	}
	for range widely {
		if s.wide >= last {
			s.wide = 0
		}
		if s.wide >= int64(len(s.words)) {
			s.grow(min(s.limit, int64(len(s.words))*64+chunkUnits))
		}
		if s.wide < int64(len(s.words)) && s.words[s.wide]|s.held[s.wide] == 0 && s.wide < last {
			return s.wide * 64
		}
		s.wide++
	}
	return -1
}

// widely is how many words one search for a stretch looks at; the next one goes on there.
const widely = 1 << 14

// errScattered says that what is free is not free together.
var errScattered = array.Errorf(array.Full, "the CPG is full")

// find returns where n free units begin in one group, from the cursor on and once
// around, or -1.
func (s *units) find(n int, cursor *int64) int64 {
	last := (s.limit + 63) / 64
	for range 2 {
		for ; *cursor < last; *cursor++ {
			if *cursor >= int64(len(s.words)) {
				s.grow(min(last*64, int64(len(s.words))*64+chunkUnits))
			}
			if at := fit(s.words[*cursor]|s.held[*cursor], n); at >= 0 && *cursor*64+int64(at+n) <= s.limit {
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
	s.change(s.words, r, used)
	s.dirty[r.addr/chunkUnits] = struct{}{}
}

// hold is set for what the journal holds.
func (s *units) hold(r run, held bool) { s.change(s.held, r, held) }

func (s *units) isHeld(r run) bool {
	return s.held[r.addr/64]>>(r.addr%64)&(uint64(1)<<r.n-1) != 0
}

func (s *units) change(words []uint64, r run, to bool) {
	i, mask := r.addr/64, (uint64(1)<<r.n-1)<<(r.addr%64)
	s.used -= int64(bits.OnesCount64((s.words[i] | s.held[i]) & mask))
	if words[i] &^= mask; to {
		words[i] |= mask
	}
	s.used += int64(bits.OnesCount64((s.words[i] | s.held[i]) & mask))
	if !to {
		s.whole, s.parts, s.wide = back(s.whole, i), back(s.parts, i), back(s.wide, i)
	}
}

// nearBy is how many words back a search begins again for what was freed: blocks that
// were written once are faster than those that were only allocated, and the file stays
// small. Farther back it waits for the search to come round.
const nearBy = 1 << 18

func back(cursor, freed int64) int64 {
	if freed < cursor && cursor-freed < nearBy {
		return freed
	}
	return cursor
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
