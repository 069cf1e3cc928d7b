// SPDX-License-Identifier: Apache-2.0

package initiator

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// Command is a SCSI command.
type Command struct {
	LUN uint64 // as on the wire
	CDB []byte
	Out []byte
	// In is how many bytes are expected.
	In int
	// Immediate is how much of Out goes with the command, Unsolicited how much
	// follows unasked; the rest waits for R2T.
	Immediate, Unsolicited int
	// Attr is the task attribute, SIMPLE (1) by default.
	Attr byte
	Tag  uint32 // chosen by Start if zero
}

// Result is the outcome of a command.
type Result struct {
	Status   byte
	In       []byte
	Sense    []byte
	Residual int // negative for an overflow
	Err      error
}

// Code returns key, code and qualifier of the sense data, as 0xKKAAQQ.
func (r Result) Code() int {
	if len(r.Sense) < 14 {
		return 0
	}
	return int(r.Sense[2]&0xF)<<16 | int(r.Sense[12])<<8 | int(r.Sense[13])
}

// Pending is a command under way.
type Pending struct {
	Tag  uint32
	conn *Conn
	call *call
	err  error
}

// Start sends a command with its unsolicited data.
func (c *Conn) Start(cmd Command) *Pending {
	if cmd.Tag == 0 {
		cmd.Tag = c.Tag()
	}
	if cmd.Attr == 0 {
		cmd.Attr = 1
	}
	h := pdu.Make(pdu.SCSICommand, cmd.Attr)
	edtl := cmd.In
	if len(cmd.Out) > 0 {
		h[1] |= 0x20
		edtl = len(cmd.Out)
	}
	if cmd.In > 0 {
		h[1] |= 0x40
	}
	if cmd.Unsolicited == 0 {
		h[1] |= 0x80
	}
	h.Put64(pdu.OffLUN, cmd.LUN)
	h.Put32(pdu.OffITT, cmd.Tag)
	h.Put32(20, uint32(edtl))
	copy(h[32:], cmd.CDB)
	k, err := c.request(h, cmd.Out[:cmd.Immediate], &cmd)
	if err == nil && cmd.Unsolicited > 0 {
		err = c.burst(&cmd, pdu.NoTag, cmd.Immediate, cmd.Unsolicited)
	}
	return &Pending{Tag: cmd.Tag, conn: c, call: k, err: err}
}

// Wait returns the outcome.
func (p *Pending) Wait() Result {
	if p.err != nil {
		return Result{Err: p.err}
	}
	r := p.conn.wait(p.call)
	if r.err != nil {
		return Result{Err: r.err}
	}
	res := Result{Status: r.h[3], Residual: int(r.h.U32(pdu.OffResid))}
	if r.h[1]&0x04 != 0 {
		res.Residual = -res.Residual
	}
	if r.h.Op() == pdu.DataIn {
		res.In = r.data
		return res
	}
	if len(r.data) >= 2 {
		res.Sense = r.data[2:min(len(r.data), 2+int(binary.BigEndian.Uint16(r.data)))]
	}
	return res
}

// Do runs one command.
func (c *Conn) Do(cmd Command) Result { return c.Start(cmd).Wait() }

// answerR2T sends what an R2T asks for.
func (c *Conn) answerR2T(k *call, h *pdu.Header) error {
	if k.cmd == nil {
		return fmt.Errorf("R2T for tag %#x, which is no command", h.ITT())
	}
	off, n := int(h.U32(pdu.OffBuffer)), int(h.U32(pdu.OffResid))
	if off+n > len(k.cmd.Out) {
		return fmt.Errorf("R2T for %d bytes at %d of %d", n, off, len(k.cmd.Out))
	}
	return c.burst(k.cmd, h.U32(pdu.OffTTT), off, n)
}

// burst sends Data-Out PDUs.
func (c *Conn) burst(cmd *Command, ttt uint32, off, n int) error {
	size, err := strconv.Atoi(c.Keys["MaxRecvDataSegmentLength"])
	if err != nil {
		size = 8192
	}
	for sn := uint32(0); n > 0; sn++ {
		k := min(n, size)
		h := pdu.Make(pdu.DataOut, 0)
		if k == n {
			h[1] = 0x80
		}
		h.Put64(pdu.OffLUN, cmd.LUN)
		h.Put32(pdu.OffITT, cmd.Tag)
		h.Put32(pdu.OffTTT, ttt)
		h.Put32(pdu.OffDataSN, sn)
		h.Put32(pdu.OffBuffer, uint32(off))
		if err := c.Send(h, cmd.Out[off:off+k]); err != nil {
			return err
		}
		off, n = off+k, n-k
	}
	return nil
}

// Manage sends a task management function and returns its response.
func (c *Conn) Manage(function byte, lun uint64, tag uint32) (byte, error) {
	return c.StartManage(function, lun, tag)()
}

// StartManage is Manage in two parts: the function returned waits.
func (c *Conn) StartManage(function byte, lun uint64, tag uint32) func() (byte, error) {
	h := pdu.Make(0x40|pdu.TaskRequest, 0x80|function)
	h.Put64(pdu.OffLUN, lun)
	h.Put32(pdu.OffITT, c.Tag())
	h.Put32(20, tag)
	k, err := c.request(h, nil, nil)
	return func() (byte, error) {
		if err != nil {
			return 0, err
		}
		r := c.wait(k)
		return r.h[2], r.err
	}
}

// Ping sends data to and fro.
func (c *Conn) Ping(data []byte) ([]byte, error) {
	h := pdu.Make(0x40|pdu.NopOut, 0x80)
	h.Put32(pdu.OffITT, c.Tag())
	h.Put32(pdu.OffTTT, pdu.NoTag)
	k, err := c.request(h, data, nil)
	if err != nil {
		return nil, err
	}
	r := c.wait(k)
	return r.data, r.err
}

// Text sends a text request and returns the whole answer.
func (c *Conn) Text(pairs ...pdu.Pair) ([]pdu.Pair, error) {
	var all []byte
	ttt := uint32(pdu.NoTag)
	data := pdu.AppendText(nil, pairs...)
	for {
		h := pdu.Make(pdu.TextReq, 0x80)
		h.Put32(pdu.OffITT, c.Tag())
		h.Put32(pdu.OffTTT, ttt)
		k, err := c.request(h, data, nil)
		if err != nil {
			return nil, err
		}
		r := c.wait(k)
		if r.err != nil {
			return nil, r.err
		}
		all = append(all, r.data...)
		if r.h.Final() {
			return pdu.ParseText(all)
		}
		ttt, data = r.h.U32(pdu.OffTTT), nil
	}
}

// Logout ends the session in an orderly way.
func (c *Conn) Logout() error {
	h := pdu.Make(0x40|pdu.LogoutReq, 0x80)
	h.Put32(pdu.OffITT, c.Tag())
	k, err := c.request(h, nil, nil)
	if err != nil {
		return err
	}
	r := c.wait(k)
	c.Close()
	if r.err == nil && r.h[2] != 0 {
		return fmt.Errorf("logout answered with %d", r.h[2])
	}
	return r.err
}
