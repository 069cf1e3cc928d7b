// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"bytes"
	"encoding/binary"

	"github.com/perdure/perdure/internal/block"
)

// The mode pages. Nothing in them can be changed: the two arrays must never
// differ in them, and a cache that is off is what makes a GOOD durable. Only the
// thresholds of thin units tell of each array's own pool.
const (
	pageErrorRecovery = 0x01
	pageCaching       = 0x08
	pageControl       = 0x0A
	pageExceptions    = 0x1C
	subProvisioning   = 0x02
	allSubpages       = 0xFF
	allPages          = 0x3F
)

// modePage returns a page's current (and default) values.
func modePage(page byte) []byte {
	switch page {
	case pageErrorRecovery:
		b := make([]byte, 12)
		b[0], b[1] = page, 10
		b[2] = 0xC0 // AWRE, ARRE: bad sectors are the array's business
		return b
	case pageCaching:
		b := make([]byte, 20)
		b[0], b[1] = page, 18
		return b // WCE is 0
	case pageControl:
		b := make([]byte, 12)
		b[0], b[1] = page, 10
		b[3] = 0x10 // unrestricted reordering
		b[5] = 0x40 // TAS: aborted commands of other nexuses end with TASK ABORTED
		binary.BigEndian.PutUint16(b[8:], 0xFFFF)
		return b
	case pageExceptions:
		b := make([]byte, 12)
		b[0], b[1] = page, 10
		b[2] = 0x08 // DEXCPT: no informational exceptions
		return b
	}
	return nil
}

// runModeSense is MODE SENSE, both lengths.
func runModeSense(c *Command) {
	long := c.CDB[0] == 0x5A
	page, subpage, control := c.CDB[2]&0x3F, c.CDB[3], c.CDB[2]>>6
	allocation := int(c.CDB[4])
	if long {
		allocation = int(binary.BigEndian.Uint16(c.CDB[7:]))
	}
	if control == 3 {
		c.end(sensed{IllegalRequest, 0x3900}) // nothing is saved
		return
	}
	space, thin := c.space()
	provisioning := thin && (page == pageExceptions || page == allPages && subpage == allSubpages)
	if subpage != 0 && subpage != allSubpages && (subpage != subProvisioning || !provisioning) {
		c.end(badCDB())
		return
	}
	var pages []byte
	for _, p := range []byte{pageErrorRecovery, pageCaching, pageControl, pageExceptions} {
		if page != p && page != allPages || subpage == subProvisioning {
			continue
		}
		b := modePage(p)
		if control == 1 { // changeable values: none
			clear(b[2:])
		}
		pages = append(pages, b...)
	}
	if provisioning && subpage != 0 {
		b := provisioningPage(space)
		if control == 1 {
			clear(b[4:])
		}
		pages = append(pages, b...)
	}
	if pages == nil {
		c.end(badCDB())
		return
	}
	c.reply(c.modeData(long, pages), allocation)
}

// modeData puts header and block descriptor before the pages.
func (c *Command) modeData(long bool, pages []byte) []byte {
	const noDescriptor, longLBA = 0x08, 0x10
	var desc []byte
	blocks := uint64(c.unit.Size()) / block.Sector
	switch {
	case c.CDB[1]&noDescriptor != 0:
	case long && c.CDB[1]&longLBA != 0:
		desc = make([]byte, 16)
		binary.BigEndian.PutUint64(desc, blocks)
		binary.BigEndian.PutUint32(desc[12:], block.Sector)
	default:
		desc = make([]byte, 8)
		binary.BigEndian.PutUint32(desc, uint32(min(blocks, 0xFFFFFFFF)))
		binary.BigEndian.PutUint32(desc[4:], block.Sector)
	}
	device := byte(0x10) // DPOFUA
	if c.unit.Identity().ReadOnly {
		device |= 0x80 // WP
	}
	var head []byte
	if long {
		head = make([]byte, 8)
		binary.BigEndian.PutUint16(head, uint16(8+len(desc)+len(pages)-2))
		head[3] = device
		if len(desc) == 16 {
			head[4] = 1 // LONGLBA
		}
		head[7] = byte(len(desc))
	} else {
		head = []byte{byte(4 + len(desc) + len(pages) - 1), 0, device, byte(len(desc))}
	}
	return append(append(head, desc...), pages...)
}

func decodeModeSelect(c *Command) error {
	const pageFormat, save = 0x10, 0x01
	if c.CDB[1]&pageFormat == 0 || c.CDB[1]&save != 0 {
		return badCDB()
	}
	c.want = int(c.CDB[4])
	if c.CDB[0] == 0x55 {
		c.want = int(binary.BigEndian.Uint16(c.CDB[7:]))
	}
	return nil
}

// runModeSelect accepts pages as they are and refuses any change.
func runModeSelect(c *Command) {
	if c.Out == nil {
		c.end(nil)
		return
	}
	p := c.Out.Bytes()
	head, descLen := 4, 0
	if c.CDB[0] == 0x55 {
		head = 8
	}
	if len(p) < head {
		c.end(badListLen())
		return
	}
	if head == 4 {
		descLen = int(p[3])
	} else {
		descLen = int(binary.BigEndian.Uint16(p[6:]))
	}
	if len(p) < head+descLen {
		c.end(badListLen())
		return
	}
	if descLen > 0 && !c.sameBlockLength(p[head:head+descLen]) {
		c.end(badList())
		return
	}
	for p = p[head+descLen:]; len(p) > 0; {
		if len(p) < 2 || len(p) < 2+int(p[1]) {
			c.end(badListLen())
			return
		}
		n := 2 + int(p[1])
		if want := modePage(p[0] & 0x3F); want == nil || !bytes.Equal(want[1:], p[1:n]) {
			c.end(badList())
			return
		}
		p = p[n:]
	}
	c.end(nil)
}

// sameBlockLength reports whether a block descriptor keeps the block length.
func (c *Command) sameBlockLength(d []byte) bool {
	switch len(d) {
	case 8:
		return binary.BigEndian.Uint32(d[4:])&0xFFFFFF == block.Sector
	case 16:
		return binary.BigEndian.Uint32(d[12:]) == block.Sector
	}
	return false
}

// runStartStop accepts what has no meaning for a volume that is always there.
func runStartStop(c *Command) {
	const loej = 0x02
	if c.CDB[4]>>4 != 0 || c.CDB[4]&loej != 0 {
		c.end(badCDB()) // power conditions, ejecting
		return
	}
	c.end(nil)
}

// runPreventAllow accepts both: there is no medium to remove.
func runPreventAllow(c *Command) {
	if c.CDB[4]&0x03 > 1 {
		c.end(badCDB())
		return
	}
	c.end(nil)
}
