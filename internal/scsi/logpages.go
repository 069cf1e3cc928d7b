// SPDX-License-Identifier: Apache-2.0

package scsi

import "encoding/binary"

// Space is the room in which a thin unit takes its pages; it shares it with others.
type Space struct{ Used, Limit int64 } // bytes

// Provisioned is a Unit that knows its room, on this array.
type Provisioned interface {
	// Space returns false for a unit that has all its pages set aside.
	Space() (Space, bool)
}

const (
	logSupported    = 0x00
	logProvisioning = 0x0C
	logSubpages     = 0xFF
	// thresholdExponent is the unit of what is counted in logs and thresholds, in
	// blocks, as a power of two: a MiB.
	thresholdExponent = 11
	countBytes        = 512 << thresholdExponent
)

// thresholds are the percentages of a pool's room at which hosts are told (38/07). (A
// list, not to be changed.)
var thresholds = [...]int64{75, 85, 95}

// space returns the room of the command's unit, if it may run out of it.
func (c *Command) space() (Space, bool) {
	if p, ok := c.unit.(Provisioned); ok {
		return p.Space()
	}
	return Space{}, false
}

// runLogSense is LOG SENSE: which pages there are, and how much room thin units have.
// There is no temperature and no error counter: hosts would take invented ones for
// health.
func runLogSense(c *Command) {
	const savePages = 0x01
	page, subpage := c.CDB[2]&0x3F, c.CDB[3]
	from := binary.BigEndian.Uint16(c.CDB[5:])
	space, thin := c.space()
	pages := []byte{logSupported}
	if thin {
		pages = append(pages, logProvisioning)
	}
	head := []byte{page, 0, 0, 0}
	var body []byte
	switch {
	case c.CDB[1]&savePages != 0:
		c.end(badCDB()) // there is nowhere to
		return
	case page == logSupported && subpage == 0 && from == 0:
		body = pages
	case page == logSupported && subpage == logSubpages && from == 0:
		head[0], head[1] = page|0x40, logSubpages // SPF
		for _, p := range pages {
			if body = append(body, p, 0); p == logSupported {
				body = append(body, p, logSubpages)
			}
		}
	case page == logProvisioning && subpage == 0 && thin:
		if body = provisioningLog(space, from); body == nil {
			c.end(badCDB())
			return
		}
	default:
		c.end(badCDB())
		return
	}
	binary.BigEndian.PutUint16(head[2:], uint16(len(body)))
	c.reply(append(head, body...), int(binary.BigEndian.Uint16(c.CDB[7:])))
}

// provisioningLog has the parameters from the given one on; nil if there are none.
func provisioningLog(s Space, from uint16) (body []byte) {
	const available, used, binaryList, shared = 1, 2, 0x03, 0x02
	for _, p := range []struct {
		code  uint16
		bytes int64
	}{{available, max(s.Limit-s.Used, 0)}, {used, s.Used}} {
		if p.code < from {
			continue
		}
		body = binary.BigEndian.AppendUint16(body, p.code)
		body = append(body, binaryList, 8)
		body = binary.BigEndian.AppendUint32(body, counts(p.bytes))
		body = append(body, shared, 0, 0, 0) // the room is not this unit's alone
	}
	return body
}

// counts is a number of bytes as hosts are told it.
func counts(n int64) uint32 { return uint32(min(n/countBytes, 0xFFFFFFFF)) }

// provisioningPage is subpage 02 of the informational exceptions mode page: at which
// counts of used room hosts are told.
func provisioningPage(s Space) []byte {
	const enabled, soft, increasing, used = 0x80, 0, 1, 2
	b := make([]byte, 16, 16+8*len(thresholds))
	b[0], b[1] = pageExceptions|0x40, subProvisioning // SPF
	for _, percent := range thresholds {
		d := []byte{enabled | soft<<3 | increasing, used, 0, 0}
		b = append(b, binary.BigEndian.AppendUint32(d, counts(s.Limit/100*percent))...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	return b
}

// runSendDiagnostic is SEND DIAGNOSTIC: the default self-test passes if the unit answers.
func runSendDiagnostic(c *Command) {
	const selfTest = 0x04
	if c.CDB[1]&^0x10 != selfTest && c.CDB[1]&^0x10 != 0 || binary.BigEndian.Uint16(c.CDB[3:]) != 0 {
		c.end(badCDB()) // no pages to send, no other tests
		return
	}
	c.step(func(op *Op) {
		c.unit.Inspect(op, func(_ Facts, err error) { c.end(err) })
	})
}

// runReceiveDiagnostic is RECEIVE DIAGNOSTIC RESULTS: the list of pages, which is the
// only one.
func runReceiveDiagnostic(c *Command) {
	const pageCodeValid = 0x01
	if c.CDB[1]&pageCodeValid != 0 && c.CDB[2] != 0 {
		c.end(badCDB())
		return
	}
	c.reply([]byte{0, 0, 0, 1, 0}, int(binary.BigEndian.Uint16(c.CDB[3:])))
}
