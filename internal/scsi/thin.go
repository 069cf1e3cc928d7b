// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"sync"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// maxLBAStatus bounds the descriptors of one GET LBA STATUS.
const maxLBAStatus = 256

// unmapLanes is how many extents of one UNMAP are under way at a time.
const unmapLanes = 32

// extent is a range to be unmapped, in bytes.
type extent struct{ off, length int64 }

// runUnmap is UNMAP. All descriptors are checked before the first takes effect.
func runUnmap(c *Command) {
	if c.Out == nil {
		c.end(nil)
		return
	}
	list, err := c.unmapList(c.Out.Bytes())
	if err != nil {
		c.refuse(err)
		return
	}
	c.unmap(list)
}

func (c *Command) unmapList(p []byte) ([]extent, error) {
	bytes := int(binary.BigEndian.Uint16(p[2:]))
	if bytes > len(p)-8 || int(binary.BigEndian.Uint16(p))+2 > len(p) {
		return nil, badListLen()
	}
	var list []extent
	var total uint64
	for d := p[8 : 8+bytes/16*16]; len(d) > 0; d = d[16:] {
		lba, n := binary.BigEndian.Uint64(d), uint64(binary.BigEndian.Uint32(d[8:]))
		if n == 0 && lba <= uint64(c.unit.Size())/block.Sector {
			continue // nothing, even right at the end
		}
		if err := c.within(lba, n); err != nil {
			return nil, err
		}
		if total += n; total > maxUnmap || len(list) >= maxUnmapRanges {
			return nil, badList()
		}
		list = append(list, extent{c.off, c.length})
	}
	return list, nil
}

// unmap gives the extents back, some at a time: one after the other they would take
// a round trip to the other array each, and the last might come too late for a place.
func (c *Command) unmap(list []extent) {
	list = join(list)
	if len(list) == 0 {
		c.end(nil)
		return
	}
	c.off, c.length = list[0].off, list[0].length
	c.step(func(op *Op) {
		lanes := min(len(list), unmapLanes)
		u := &unmapping{c: c, op: op, list: list, lanes: lanes}
		for i := range lanes {
			u.lane(i, nil)
		}
	})
}

// join makes one extent of those that follow one another, which is what hosts send.
func join(list []extent) []extent {
	out := list[:0]
	for _, e := range list {
		if n := len(out); n > 0 && out[n-1].off+out[n-1].length == e.off {
			out[n-1].length += e.length
			continue
		}
		out = append(out, e)
	}
	return out
}

// unmapping is an UNMAP under way. Its mutations share one op: they are one command's,
// and cancelled together.
type unmapping struct {
	c    *Command
	op   *Op
	list []extent

	mu    sync.Mutex
	lanes int
	err   error
}

// lane unmaps extent i and then each unmapLanes-th after it.
func (u *unmapping) lane(i int, err error) {
	if err == nil && i < len(u.list) {
		e := u.list[i]
		m := Mutation{Kind: Unmap, Offset: e.off, Length: e.length}
		u.c.unit.Mutate(u.op, m, func(err error) { u.lane(i+unmapLanes, err) })
		return
	}
	u.mu.Lock()
	// What the host must be told counts more than what is tried again here.
	if u.err == nil || array.KindOf(u.err) == array.Conflict && err != nil {
		u.err = err
	}
	u.lanes--
	last, err := u.lanes == 0, u.err
	u.mu.Unlock()
	if last {
		u.c.finish(err)
	}
}

func runLBAStatus(c *Command) {
	allocation := int(min(binary.BigEndian.Uint32(c.CDB[10:]), maxParameterBytes))
	size := c.unit.Size()
	out := make([]byte, 8, 8+16*8)
	const deallocated = 1
	last := byte(0xFF)
	for off := c.off; off < size && len(out)/16 < maxLBAStatus; {
		n, mapped := c.unit.Extent(off)
		n = min(n-n%block.Sector, size-off)
		if n <= 0 {
			break
		}
		state := byte(deallocated)
		if mapped {
			state = 0
		}
		d := out[max(len(out)-16, 0):]
		blocks := uint64(n) / block.Sector
		if len(out) > 8 && state == last && uint64(binary.BigEndian.Uint32(d[8:]))+blocks <= 0xFFFFFFFF {
			binary.BigEndian.PutUint32(d[8:], binary.BigEndian.Uint32(d[8:])+uint32(blocks))
		} else {
			if len(out)+16 > max(allocation, 24) {
				break
			}
			blocks = min(blocks, 0xFFFFFFFF)
			n = int64(blocks) * block.Sector
			out = binary.BigEndian.AppendUint64(out, uint64(off)/block.Sector)
			out = binary.BigEndian.AppendUint32(out, uint32(blocks))
			out = append(out, state, 0, 0, 0)
			last = state
		}
		off += n
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	c.reply(out, allocation)
}

// runCapacity10 is READ CAPACITY(10).
func runCapacity10(c *Command) {
	if c.CDB[8]&1 == 0 && binary.BigEndian.Uint32(c.CDB[2:]) != 0 {
		c.end(badCDB())
		return
	}
	c.capacity(func(last uint64) {
		out := make([]byte, 8)
		binary.BigEndian.PutUint32(out, uint32(min(last, 0xFFFFFFFF)))
		binary.BigEndian.PutUint32(out[4:], block.Sector)
		c.reply(out, len(out))
	})
}

// runCapacity16 is READ CAPACITY(16). A physical block is a logical one: a write of any
// length is one journal record, and nothing is read before it is acknowledged. That
// larger writes are better, and which sizes suit the pages, the block limits say.
func runCapacity16(c *Command) {
	if c.CDB[14]&1 == 0 && binary.BigEndian.Uint64(c.CDB[2:]) != 0 {
		c.end(badCDB())
		return
	}
	c.capacity(func(last uint64) {
		const thin, zeros = 0x80, 0x40 // LBPME, LBPRZ
		out := make([]byte, 32)
		binary.BigEndian.PutUint64(out, last)
		binary.BigEndian.PutUint32(out[8:], block.Sector)
		out[13] = physicalExponent
		out[14] = thin | zeros
		c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[10:]), maxParameterBytes)))
	})
}

// capacity asks the unit for its size and hands on the last block's address.
func (c *Command) capacity(then func(last uint64)) {
	c.step(func(op *Op) {
		c.unit.Inspect(op, func(f Facts, err error) {
			switch {
			case err != nil:
				c.end(err)
			case f.Size < block.Sector:
				c.end(array.Errorf(array.Internal, "a unit of %d bytes", f.Size))
			default:
				then(uint64(f.Size)/block.Sector - 1)
			}
		})
	})
}

// runDefects is READ DEFECT DATA: there are none to tell.
func runDefects(c *Command) {
	if c.CDB[0] == 0x37 {
		out := []byte{0, c.CDB[2] & 0x1F, 0, 0}
		c.reply(out, int(binary.BigEndian.Uint16(c.CDB[7:])))
		return
	}
	out := []byte{0, c.CDB[1] & 0x1F, 0, 0, 0, 0, 0, 0}
	c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[6:]), maxParameterBytes)))
}
