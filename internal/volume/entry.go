// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

const (
	// unitSize is what space is given out in: a page that compresses takes fewer units.
	unitSize = 4096
	// pageUnits is how many checksums a page has, so that a small read need not read
	// the whole page.
	pageUnits = block.Page / unitSize
	entrySize = 32
	// partsSize is what a split page has besides.
	partsSize = 16
)

// entryKind says what the map knows of a page. Values are on disk.
type entryKind uint8

const (
	// nothing: this volume has no entry of its own; see path.
	nothing entryKind = iota
	// zeroes: the page reads as zeros, and keeps the birth of the write that zeroed it.
	zeroes
	// stored: the page is in units of the page file.
	stored
	// asBase: the page is as in the snapshot that the volume's head was made from.
	asBase
)

// entry is what the map knows of a page.
type entry struct {
	kind   entryKind
	packed bool // compressed
	split  bool // its blocks lie apart: see split.go
	// length is how many bytes are stored, addr the first of the units that they lie in.
	length int
	addr   int64
	parts  [pageUnits]int64  // of a split page: each block's unit, or noPart
	crc    [pageUnits]uint32 // of the stored units
	birth  array.Place
}

// units returns how many units the stored bytes take.
func (e *entry) units() int {
	if e.kind != stored {
		return 0
	}
	if e.split {
		return e.partsStored()
	}
	return (e.length + unitSize - 1) / unitSize
}

const (
	addrBits   = 40
	lengthBits = 15
)

// encode writes kind (2 bits), packed (1), split (1), length (15) and addr (40) as one word,
// the checksums, and the birth.
func (e *entry) encode(b []byte) {
	addr := e.addr
	if e.split {
		addr = e.parts[0]
	}
	w := uint64(addr) | uint64(e.length)<<addrBits | uint64(e.kind)<<(addrBits+lengthBits)
	if e.packed {
		w |= 1 << (addrBits + lengthBits + 2)
	}
	if e.split {
		w |= 1 << (addrBits + lengthBits + 3)
	}
	binary.LittleEndian.PutUint64(b, w)
	for i, c := range e.crc {
		binary.LittleEndian.PutUint32(b[8+4*i:], c)
	}
	binary.LittleEndian.PutUint64(b[24:], uint64(e.birth))
}

func decodeEntry(b []byte) entry {
	w := binary.LittleEndian.Uint64(b)
	e := entry{
		kind:   entryKind(w >> (addrBits + lengthBits) & 3),
		packed: w>>(addrBits+lengthBits+2)&1 == 1,
		split:  w>>(addrBits+lengthBits+3)&1 == 1,
		length: int(w >> addrBits & (1<<lengthBits - 1)),
		addr:   int64(w & (1<<addrBits - 1)),
		birth:  array.Place(binary.LittleEndian.Uint64(b[24:])),
	}
	for i := range e.crc {
		e.crc[i] = binary.LittleEndian.Uint32(b[8+4*i:])
	}
	return e
}

// sound says what is wrong with an entry that came from the disk.
func (e *entry) sound() error {
	switch {
	case e.kind != stored:
		return nil
	case e.split:
		return e.soundParts()
	case e.length < 1 || e.length > block.Page || !e.packed && e.length != block.Page:
		return array.Errorf(array.Medium, "the map says that %d bytes are stored", e.length)
	case e.packed && e.units() == pageUnits:
		return array.Errorf(array.Medium, "the map says that a page was packed into %d bytes", e.length)
	}
	return nil
}
