// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	vendor  = "PERDURE "
	product = "VV              "
)

// absent is the first byte of INQUIRY data where no unit is.
const absent = 0x7F

// runInquiry answers INQUIRY for a unit.
func runInquiry(c *Command) {
	const evpd = 1
	allocation := int(binary.BigEndian.Uint16(c.CDB[3:]))
	page := c.CDB[2]
	if c.CDB[1]&evpd == 0 {
		if c.CDB[1] != 0 || page != 0 {
			c.end(badCDB())
			return
		}
		c.reply(c.nexus.standardInquiry(0), allocation)
		return
	}
	id := c.unit.Identity()
	var body []byte
	switch page {
	case 0x00:
		body = []byte{0x00, 0x80, 0x83, 0x86, 0x8F, 0xB0, 0xB1, 0xB2, 0xC0}
	case 0x80:
		body = []byte(id.Serial)
	case 0x83:
		body = c.designators(id)
	case 0x86:
		body = make([]byte, 60)
		body[1] = 0x07 // HEADSUP, ORDSUP, SIMPSUP
		body[3] = 0x01 // LUICLR
	case 0x8F:
		body = thirdPartyCopy()
	case 0xB0:
		body = blockLimits()
	case 0xB1:
		body = make([]byte, 60)
		binary.BigEndian.PutUint16(body, 1) // non-rotating
	case 0xB2:
		body = []byte{0, 0xE0 | 0x04, 0x02, 0} // LBPU, LBPWS, LBPWS10, LBPRZ; thin
		if _, ok := c.space(); ok {
			body[0] = thresholdExponent
		}
	case 0xC0:
		body = namePage(id.Name)
	default:
		c.end(badCDB())
		return
	}
	out := []byte{0, page, byte(len(body) >> 8), byte(len(body))}
	c.reply(append(out, body...), allocation)
}

// standardInquiry is the standard INQUIRY data.
func (n *Nexus) standardInquiry(device byte) []byte {
	out := make([]byte, 74)
	out[0] = device
	out[2] = 6        // SPC-4
	out[3] = 0x10 | 2 // HISUP, response format
	out[4] = 74 - 5   // additional length
	out[5] = 0x10 | 8 // TPGS: implicit; 3PC
	if n.traits().Symmetric {
		out[5] = 8
	}
	out[6] = 0x10 // MULTIP
	out[7] = 0x02 // CMDQUE
	copy(out[8:], vendor)
	copy(out[16:], product)
	copy(out[32:], fmt.Sprintf("%-4.4s", n.server.revision))
	for i, v := range []uint16{0x00A0, 0x0960, 0x0460, 0x04C0} { // SAM-5, iSCSI, SPC-4, SBC-3
		binary.BigEndian.PutUint16(out[58+2*i:], v)
	}
	return out
}

// designators are the device identification page: the unit (the same from both
// arrays), this port, its group and the target.
func (c *Command) designators(id Identity) []byte {
	const binaryCode, ascii, utf8 = 1, 2, 3
	const unit, port, target = 0, 1, 2
	var out []byte
	add := func(code, association, kind byte, value []byte) {
		const iscsi, piv = 5 << 4, 0x80
		head := []byte{code, association<<4 | kind, 0, byte(len(value))}
		if association != unit {
			head[0] |= iscsi
			head[1] |= piv
		}
		out = append(append(out, head...), value...)
	}
	p := c.nexus.port
	add(binaryCode, unit, 3, id.WWN[:])
	add(ascii, unit, 1, []byte(vendor+id.Serial))
	add(binaryCode, port, 4, binary.BigEndian.AppendUint32(nil, uint32(p.Relative)))
	add(binaryCode, port, 5, binary.BigEndian.AppendUint32(nil, uint32(c.unit.Paths(c.nexus.Initiator).at(c.nexus.port).ID)))
	add(utf8, port, 8, nameString(fmt.Sprintf("%s,t,0x%04x", p.Target, p.Tag)))
	add(utf8, target, 8, nameString(p.Target))
	return out
}

// nameString pads a SCSI name string: a null, then to a multiple of four.
func nameString(s string) []byte {
	b := append([]byte(s), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// blockLimits is VPD page B0 from byte 4 on.
func blockLimits() []byte {
	b := make([]byte, 60)
	put := func(at int, v uint32) { binary.BigEndian.PutUint32(b[at-4:], v) }
	b[0] = 1 // WSNZ
	b[1] = maxCompare
	binary.BigEndian.PutUint16(b[2:], pageBlocks)
	put(8, maxTransfer)
	put(12, optimalTransfer)
	put(20, maxUnmap)
	put(24, maxUnmapRanges)
	put(28, pageBlocks)
	put(32, 1<<31) // UGAVALID: pages begin at block 0
	binary.BigEndian.PutUint64(b[32:], maxSame)
	put(44, maxTransfer) // one record holds a whole transfer, so it is atomic
	return b
}

// namePage is the vendor page in which multipath-tools' hp3par reader looks for
// the volume's name: revision at 4, length at 40, name at 44.
func namePage(name string) []byte {
	b := make([]byte, 40)
	b[0] = 4
	binary.BigEndian.PutUint32(b[36:], uint32(len(name)+1))
	return append(append(b, name...), 0)
}

// withoutUnit answers a command for a LUN that the initiator has no unit at.
func (c *Command) withoutUnit() {
	allocation := int(binary.BigEndian.Uint16(c.CDB[3:]))
	switch {
	case c.desc != nil && c.desc.op == 0xA0:
		runReportLUNs(c)
	case c.desc != nil && c.desc.op == 0x12 && c.CDB[1] == 0 && c.CDB[2] == 0:
		c.reply(c.nexus.standardInquiry(absent), allocation)
	case c.desc != nil && c.desc.op == 0x12 && c.CDB[1] == 1 && c.CDB[2] == 0:
		c.reply([]byte{absent, 0, 0, 1, 0}, allocation)
	case c.desc != nil && c.desc.op == 0x03:
		c.reply(fixedSense(IllegalRequest, lunNotSupported, 0, false), int(c.CDB[4]))
	default:
		c.end(sensed{IllegalRequest, lunNotSupported})
	}
}

// runReportLUNs is REPORT LUNS; it also takes the news of changed LUNs as told.
func runReportLUNs(c *Command) {
	allocation := int(min(binary.BigEndian.Uint32(c.CDB[6:]), 1<<20))
	if c.CDB[2] > 2 || allocation < 16 {
		c.end(badCDB())
		return
	}
	var luns []uint16
	if c.CDB[2] != 1 { // 1 asks for well-known units, of which there are none
		luns = c.nexus.luns()
	}
	out := make([]byte, 8, 8+8*len(luns))
	binary.BigEndian.PutUint32(out, uint32(8*len(luns)))
	for _, l := range luns {
		out = binary.BigEndian.AppendUint64(out, encodeLUN(l))
	}
	c.nexus.mu.RLock()
	bindings := make([]*binding, 0, len(c.nexus.bindings))
	for _, b := range c.nexus.bindings {
		bindings = append(bindings, b)
	}
	c.nexus.mu.RUnlock()
	for _, b := range bindings {
		b.forget(lunsChanged)
	}
	c.reply(slices.Clip(out), allocation)
}

// runRequestSense reports what a CHECK CONDITION would have told.
func runRequestSense(c *Command) {
	key, code := Key(0), noSense
	if a, ok := c.bound.attention(); ok {
		key, code = UnitAttention, a
	} else {
		switch c.unit.Paths(c.nexus.Initiator).at(c.nexus.port).State {
		case Standby:
			key, code = NotReady, lunStandby
		case Unavailable:
			key, code = NotReady, lunUnavailable
		}
	}
	if c.CDB[1]&1 != 0 {
		c.reply([]byte{0x72, byte(key), byte(code >> 8), byte(code), 0, 0, 0, 0}, int(c.CDB[4]))
		return
	}
	c.reply(fixedSense(key, code, 0, false), int(c.CDB[4]))
}
