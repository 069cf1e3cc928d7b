// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/block"
)

// What the block limits page announces, in blocks unless it says otherwise.
const (
	maxTransfer       = block.MaxIO / block.Sector
	maxCompare        = 255
	maxSame           = 1 << 15
	maxUnmap          = 1 << 20
	maxUnmapRanges    = 256 // descriptors
	pageBlocks        = block.Page / block.Sector
	physicalExponent  = 0 // see runCapacity16
	optimalTransfer   = 512
	maxParameterBytes = 64 << 10
	// maxBlocks keeps every byte offset within an int64.
	maxBlocks = 1 << 53
)

// address reads LBA and transfer length of a command that has the usual layout.
func (c *Command) address() (lba, n uint64) {
	b := c.CDB[:]
	switch b[0] >> 5 {
	case 0:
		lba = uint64(b[1]&0x1F)<<16 | uint64(b[2])<<8 | uint64(b[3])
		if n = uint64(b[4]); n == 0 {
			n = 256
		}
	case 1, 2:
		lba, n = uint64(binary.BigEndian.Uint32(b[2:])), uint64(binary.BigEndian.Uint16(b[7:]))
	case 4:
		lba, n = binary.BigEndian.Uint64(b[2:]), uint64(binary.BigEndian.Uint32(b[10:]))
	case 5:
		lba, n = uint64(binary.BigEndian.Uint32(b[2:])), uint64(binary.BigEndian.Uint32(b[6:]))
	}
	return lba, n
}

// within sets the command's range to n blocks from lba and checks it against the
// unit's size.
func (c *Command) within(lba, n uint64) error {
	if lba > maxBlocks || n > maxBlocks {
		c.off, c.length = maxBlocks*block.Sector, 1
		return beyondEnd()
	}
	c.off, c.length = int64(lba)*block.Sector, int64(n)*block.Sector
	size := c.unit.Size()
	// A command without blocks still names one.
	if c.off+max(c.length, 1) > size {
		c.length = max(c.length, 1)
		return beyondEnd()
	}
	return nil
}

// transfer is within for commands that move the blocks.
func (c *Command) transfer(lba, n uint64) error {
	if c.CDB[0]>>5 != 0 && c.CDB[1]>>5 != 0 {
		return badCDB() // protection information isn't supported
	}
	if n > maxTransfer {
		return badCDB()
	}
	return c.within(lba, n)
}

func decodeIn(c *Command) error { return c.transfer(c.address()) }

func decodeOut(c *Command) error {
	if err := c.transfer(c.address()); err != nil {
		return err
	}
	return c.cut()
}

// cut takes a write down to what its host means to send (SAM-5 5.4.3.3: the
// transport reports the difference as a residual). Half a block is an error.
func (c *Command) cut() error {
	c.want = int(c.length)
	c.Moves = c.want
	if c.Expected >= c.want {
		return nil
	}
	if c.Expected%block.Sector != 0 {
		return sensed{IllegalRequest, invalidInUnit}
	}
	c.length, c.want = int64(c.Expected), c.Expected
	return nil
}

func decodeRange(c *Command) error {
	lba, n := c.address()
	return c.within(lba, n)
}

// decodeAtomic is for WRITE ATOMIC(16): every write of ours is atomic.
func decodeAtomic(c *Command) error {
	if binary.BigEndian.Uint16(c.CDB[10:]) != 0 {
		return badCDB() // atomic boundaries aren't supported
	}
	lba, n := binary.BigEndian.Uint64(c.CDB[2:]), uint64(binary.BigEndian.Uint16(c.CDB[12:]))
	if err := c.transfer(lba, n); err != nil {
		return err
	}
	if c.want = int(c.length); c.Expected != c.want {
		return badCDB() // a part of it wouldn't be atomic
	}
	return nil
}

// byteCheck returns the BYTCHK field, which WRITE AND VERIFY and VERIFY share.
func (c *Command) byteCheck() byte { return c.CDB[1] >> 1 & 3 }

func decodeWriteVerify(c *Command) error {
	if c.byteCheck() > 1 {
		return badCDB()
	}
	return decodeOut(c)
}

func decodeVerify(c *Command) error {
	if err := c.transfer(c.address()); err != nil {
		return err
	}
	switch c.byteCheck() {
	case 1:
		c.want = int(c.length)
	case 2:
		return badCDB()
	case 3:
		if c.length > 0 {
			c.want = block.Sector
		}
	}
	return nil
}

func decodeSame(c *Command) error {
	lba, n := c.address()
	const anchor, noData = 0x10, 0x01
	if c.CDB[1]>>5 != 0 || c.CDB[1]&anchor != 0 || n == 0 || n > maxSame {
		return badCDB() // WSNZ: a count of zero isn't "to the end"
	}
	if err := c.within(lba, n); err != nil {
		return err
	}
	if c.CDB[0] == 0x41 && c.CDB[1]&noData != 0 {
		return badCDB()
	}
	if c.CDB[1]&noData == 0 {
		c.want = block.Sector
	}
	if c.Expected != c.want {
		return badCDB() // host and CDB disagree about what is sent
	}
	return nil
}

func decodeCompare(c *Command) error {
	n := uint64(c.CDB[13])
	if err := c.transfer(binary.BigEndian.Uint64(c.CDB[2:]), n); err != nil {
		return err
	}
	if c.want = int(2 * c.length); c.Expected != c.want {
		return badCDB() // host and CDB disagree about what is compared
	}
	return nil
}

func decodeUnmap(c *Command) error {
	if c.CDB[1]&1 != 0 {
		return badCDB() // ANCHOR
	}
	c.want = int(binary.BigEndian.Uint16(c.CDB[7:]))
	if c.want > 0 && c.want < 8 {
		return badListLen()
	}
	return nil
}

func decodeLBAStatus(c *Command) error {
	return c.within(binary.BigEndian.Uint64(c.CDB[2:]), 1)
}
