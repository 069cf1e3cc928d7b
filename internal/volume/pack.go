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

// pack compresses a change's page into p.packing, from at on, if that saves a unit, and
// returns how much room that took. p.single is held.
func (p *Pool) pack(c *change, at int) int {
	p.needPacking()
	small := s2.Encode(p.packed, c.data)
	n := (len(small) + unitSize - 1) / unitSize
	if n >= pageUnits {
		return 0
	}
	b := p.packing[at : at+n*unitSize]
	clear(b[copy(b, small):])
	c.bytes, c.e.length, c.e.packed = b, len(small), true
	return len(b)
}

func (p *Pool) needPacking() {
	if p.packing == nil {
		p.packing = vfs.NewBuffer(stagingPages * block.Page)
		p.packed = make([]byte, s2.MaxEncodedLen(block.Page))
	}
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
