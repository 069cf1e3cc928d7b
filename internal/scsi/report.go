// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"time"
)

// implicitTransitionTime is what RTPG's extended header announces, in seconds.
// Transitions hold commands for at most Late.
const implicitTransitionTime = 5

// runPortGroups is REPORT TARGET PORT GROUPS: the groups of both arrays, the same
// from either.
func runPortGroups(c *Command) {
	if c.nexus.traits().Symmetric {
		c.end(badCDB()) // as TPGS says: no such service action
		return
	}
	format := c.CDB[1] >> 5
	if format > 1 {
		c.end(badCDB())
		return
	}
	out := make([]byte, 4, 64)
	if format == 1 {
		out = append(out, 0x10, implicitTransitionTime, 0, 0)
	}
	for _, g := range c.unit.Paths(c.nexus.Initiator).Groups {
		out = appendGroup(out, g)
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[6:]), maxParameterBytes)))
}

func appendGroup(out []byte, g PortGroup) []byte {
	const (
		pref      = 0x80
		supported = 0x80 | 0x08 | 0x04 | 0x02 | 0x01 // T, U, S, AN, AO
		implicit  = 0x02
	)
	state := byte(g.State)
	if g.State == Lost {
		state = byte(Unavailable)
	}
	if g.Preferred {
		state |= pref
	}
	out = append(out, state, supported)
	out = binary.BigEndian.AppendUint16(out, g.ID)
	ports := g.Ports[:min(len(g.Ports), 255)]
	out = append(out, 0, implicit, 0, byte(len(ports)))
	for _, p := range ports {
		out = binary.BigEndian.AppendUint32(out, uint32(p))
	}
	return out
}

// runOpcodes is REPORT SUPPORTED OPERATION CODES.
func runOpcodes(c *Command) {
	t := &c.nexus.server.table
	options, timeouts := c.CDB[2]&0x07, c.CDB[2]&0x80 != 0
	op, action := c.CDB[3], int16(binary.BigEndian.Uint16(c.CDB[4:]))
	allocation := int(min(binary.BigEndian.Uint32(c.CDB[6:]), maxParameterBytes))
	if options == 0 {
		c.reply(t.all(timeouts), allocation)
		return
	}
	withAction := t.known(op) && t[op][0].action >= 0
	if options > 3 || options == 1 && withAction || options == 2 && t.known(op) && !withAction {
		c.end(badCDB())
		return
	}
	var found *descriptor
	for _, d := range t[op] {
		if d.action < 0 && (options == 1 || options == 3 && action == 0) || options != 1 && d.action == action {
			found = d
		}
	}
	c.reply(oneOpcode(found, timeouts), allocation)
}

// all lists every command.
func (t *table) all(timeouts bool) []byte {
	out := make([]byte, 4, 2048)
	for _, list := range t {
		for _, d := range list {
			e := make([]byte, 8)
			e[0] = d.op
			if d.action >= 0 {
				binary.BigEndian.PutUint16(e[2:], uint16(d.action))
				e[5] = 1 // SERVACTV
			}
			binary.BigEndian.PutUint16(e[6:], uint16(d.length))
			if timeouts {
				e[5] |= 2 // CTDP
			}
			out = append(out, e...)
			if timeouts {
				out = append(out, timeoutsDescriptor()...)
			}
		}
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

func oneOpcode(d *descriptor, timeouts bool) []byte {
	const notSupported, asStandard = 1, 3
	if d == nil {
		return []byte{0, notSupported, 0, 0}
	}
	out := []byte{0, asStandard, 0, byte(len(d.usage))}
	out = append(out, d.usage...)
	if timeouts {
		out[1] |= 0x80 // CTDP
		out = append(out, timeoutsDescriptor()...)
	}
	return out
}

// timeoutsDescriptor is a command timeouts descriptor: how long a command takes at most
// while arrays and links are well, and when a host should take it for lost. They are the
// same for all commands: each is under way within Late, or was answered BUSY.
func timeoutsDescriptor() []byte {
	const nominal, recommended = 2 * Late / time.Second, 30
	d := []byte{0, 10, 0, 0}
	d = binary.BigEndian.AppendUint32(d, uint32(nominal))
	return binary.BigEndian.AppendUint32(d, recommended)
}

// runTaskFunctions is REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
func runTaskFunctions(c *Command) {
	const abort, abortSet, clearSet, unitReset = 0x80, 0x40, 0x10, 0x08
	out := []byte{abort | abortSet | clearSet | unitReset, 0, 0, 0}
	if c.CDB[2]&0x80 != 0 { // REPD
		out = append(out, make([]byte, 12)...)
		out[3] = 12
	}
	c.reply(out, int(min(binary.BigEndian.Uint32(c.CDB[6:]), maxParameterBytes)))
}
