// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// errPacked says that a packed page passes its checksums and is none.
var errPacked = errors.New("a packed page is damaged")

// pack compresses a change's page to the beginning of room, if that saves a unit, and
// returns how much that took. small is what it may use meanwhile.
func (c *change) pack(room, small []byte) int {
	small = s2.Encode(small, c.data)
	n := (len(small) + unitSize - 1) / unitSize
	if n >= pageUnits {
		return 0
	}
	b := room[:n*unitSize]
	clear(b[copy(b, small):])
	c.bytes, c.e.length, c.e.packed = b, len(small), true
	return len(b)
}

// packingRoom returns the room for what is put together to be written. p.single is held.
func (p *Pool) packingRoom() []byte {
	if p.packing == nil {
		p.packing = vfs.NewBuffer(p.o.Batch * block.Page)
	}
	return p.packing
}

// readPacked reads a part of a compressed page, of which all units are needed.
func (p *Pool) readPacked(dst []byte, in int64, e *entry) error {
	small, page := p.scratchPage(), p.scratchPage()
	defer p.scratch.Put(small)
	defer p.scratch.Put(page)
	b := (*small)[:e.units()*unitSize]
	if err := p.readUnits(b, e, 0); err != nil {
		return err
	}
	if n, err := s2.DecodedLen(b[:e.length]); err != nil || n != block.Page {
		return fmt.Errorf("%w: it unpacks to %d bytes: %w", errPacked, n, err)
	}
	if _, err := s2.Decode(*page, b[:e.length]); err != nil {
		return fmt.Errorf("%w: unpack %d bytes: %w", errPacked, e.length, err)
	}
	copy(dst, (*page)[in:])
	return nil
}
