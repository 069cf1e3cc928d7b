// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
)

// task is a SCSI command from its PDU to its response.
type task struct {
	cmd  scsi.Command
	conn *conn
	itt  uint32
	lun  uint64
	edtl int // expected data transfer length
	read bool
	imm  bool

	// Gathering; the reader's own. got and need count the host's data.
	gathering bool
	buf       *block.Buffer
	got, need int
	ttt       uint32 // of the open R2T
	burstEnd  int    // where it ends; 0 if none is open
	outSN     uint32 // next DataSN of the sequence
	r2tSN     uint32

	// Guarded by conn.mu.
	expecting bool // unsolicited data are still to come
	over      bool // Done came
	aborted   bool // no response is to be sent
	waiters   []func()
}

// command handles a SCSI Command PDU.
func (c *conn) command(h *pdu.Header) error {
	const read, write = 0x40, 0x20
	if h[1]&(read|write) == read {
		if done, err := c.quickRead(h); done {
			return err
		}
	}
	t := &task{
		conn: c,
		itt:  h.ITT(),
		lun:  h.U64(pdu.OffLUN),
		edtl: int(h.U32(20)),
		read: h[1]&read != 0,
		imm:  h.Immediate(),
	}
	writes := h[1]&write != 0
	t.expecting = writes && !h.Final()
	n := h.DataLen()
	switch {
	case t.itt == pdu.NoTag:
		return c.violation(h, errors.New("a command without a task tag"))
	case t.expecting && c.params.initialR2T:
		return c.violation(h, errors.New("unsolicited data although InitialR2T is Yes"))
	case n > 0 && (!writes || !c.params.immediate || n > t.edtl || n > c.params.firstBurst):
		return c.violation(h, fmt.Errorf("immediate data of %d bytes aren't expected", n))
	}
	if err := c.enter(t); err != nil {
		if errors.Is(err, errTaskSetFull) {
			return c.taskSetFull(t)
		}
		return c.violation(h, err)
	}
	t.cmd.LUN = t.lun
	copy(t.cmd.CDB[:], h[32:48])
	if writes {
		t.cmd.Expected = t.edtl
	}
	t.cmd.Ordered = h[1]&0x07 == 2
	t.cmd.Arrived = c.src.readAt
	t.cmd.Done = t.done
	want, ok := c.sess.nexus.Prepare(&t.cmd)
	if !ok {
		return nil // Next drops the immediate data
	}
	t.gathering = true
	t.need = min(want, t.cmd.Expected)
	return c.gather(t, h, n)
}

// quickRead answers a read whose data are at hand, without a task of its own: nobody else
// could see it. It reports false, and has done nothing, if the read must go another way.
func (c *conn) quickRead(h *pdu.Header) (done bool, err error) {
	if !h.Final() || h.Immediate() || h.DataLen() > 0 || h.ITT() == pdu.NoTag || c.find(h.ITT()) != nil {
		return false, nil
	}
	t := &c.quick
	t.conn, t.itt, t.lun, t.edtl, t.read = c, h.ITT(), h.U64(pdu.OffLUN), int(h.U32(20)), true
	t.cmd.LUN = t.lun
	copy(t.cmd.CDB[:], h[32:48])
	t.cmd.Ordered, t.cmd.Arrived = h[1]&0x07 == 2, c.src.readAt
	if done = c.sess.nexus.Quick(&t.cmd); done {
		c.sess.slotBack()
		err = t.respond()
	}
	t.cmd.Clear()
	return done, err
}

// gather takes the immediate data of n bytes, and sees to the rest.
func (c *conn) gather(t *task, h *pdu.Header, n int) error {
	if t.need > 0 {
		buf, ok := c.host.share.Get(t.need)
		if !ok {
			t.fail(scsi.NoMemory)
			return nil
		}
		t.buf = buf
	}
	if n > 0 {
		switch err := c.take(t, n); {
		case errors.Is(err, pdu.ErrDataDigest):
			// The command is answered beside: it took its number, and not every host
			// gives up a command for a reject.
			if err := c.reject(h, pdu.ReasonDataDigest); err != nil {
				return err
			}
			return c.damaged(t, nil)
		case err != nil:
			return err
		}
	}
	return c.advance(t)
}

// take reads the present data segment of n bytes to where it belongs. What is
// beyond the command's need is dropped.
func (c *conn) take(t *task, n int) error {
	room := max(t.need-t.got, 0)
	err := c.in.Data(t.bytes()[t.need-room : t.need-room+min(n, room)])
	if err == nil {
		t.got += n
	}
	return err
}

func (t *task) bytes() []byte {
	if t.buf == nil {
		return nil
	}
	return t.buf.Bytes()
}

// advance asks for more data, waits for what is announced, or executes.
func (c *conn) advance(t *task) error {
	switch {
	case t.announced():
		return nil
	case t.got < t.need:
		c.wantData = append(c.wantData, t)
		return c.solicit()
	}
	t.gathering = false
	t.cmd.Out = t.buf
	t.buf = nil
	c.sess.nexus.Execute(&t.cmd)
	return nil
}

func (t *task) announced() bool {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	return t.expecting
}

// fail ends a prepared command without executing it.
func (t *task) fail(f scsi.Failure) {
	t.gathering = false
	if t.cmd.Out == nil {
		t.cmd.Out, t.buf = t.buf, nil
	}
	t.cmd.Fail(f)
}

// solicit sends R2Ts in the order in which commands came to need data, as far as
// what is under way stays within a bound: a command's freshness counts from its
// R2T, and on a slow line a long queue of answers would all be late.
func (c *conn) solicit() error {
	for len(c.wantData) > 0 {
		t := c.wantData[0]
		if !t.gathering {
			c.wantData = c.wantData[1:]
			continue
		}
		n := min(t.need-t.got, c.params.maxBurst)
		if c.solicited > 0 && c.solicited+n > maxSolicited {
			return nil
		}
		c.wantData = c.wantData[1:]
		c.solicited += n
		if c.lastTTT++; c.lastTTT == pdu.NoTag {
			c.lastTTT = 0
		}
		t.ttt, t.burstEnd, t.outSN = c.lastTTT, t.got+n, 0
		// What answers this was sent by a host that has not given up by now.
		t.cmd.Arrived = boottime.Now()
		h := pdu.Make(pdu.R2T, 0x80)
		h.Put64(pdu.OffLUN, t.lun)
		h.Put32(pdu.OffITT, t.itt)
		h.Put32(pdu.OffTTT, t.ttt)
		h.Put32(pdu.OffDataSN, t.r2tSN)
		h.Put32(pdu.OffBuffer, uint32(t.got))
		h.Put32(pdu.OffResid, uint32(n)) // here: desired data transfer length
		t.r2tSN++
		if err := c.out.put(outgoing{h: h}); err != nil {
			return err
		}
	}
	return nil
}

// dataOut handles a Data-Out PDU.
func (c *conn) dataOut(h *pdu.Header) error {
	t := c.find(h.ITT())
	if t == nil {
		return nil // of a command that ended or was aborted
	}
	ttt, n := h.U32(pdu.OffTTT), h.DataLen()
	solicited := ttt != pdu.NoTag
	if !t.gathering {
		if !solicited && h.Final() {
			t.announcedCame()
		}
		return nil
	}
	if solicited && (t.burstEnd == 0 || ttt != t.ttt) || !solicited && !t.announced() {
		return nil // answers to an earlier life of this tag
	}
	end := c.params.firstBurst
	if solicited {
		end = t.burstEnd
	}
	if int(h.U32(pdu.OffBuffer)) != t.got || t.got+n > end || t.got+n > t.edtl || h.U32(pdu.OffDataSN) != t.outSN {
		return c.damaged(t, h) // RFC 7143 7.9: without recovery a sequence error ends the task
	}
	t.outSN++
	switch err := c.take(t, n); {
	case errors.Is(err, pdu.ErrDataDigest):
		if err := c.reject(h, pdu.ReasonDataDigest); err != nil {
			return err
		}
		return c.damaged(t, h)
	case err != nil:
		return err
	}
	if solicited {
		c.solicited -= n
	}
	if !h.Final() {
		return nil
	}
	if solicited {
		if t.got != t.burstEnd {
			return c.violation(h, fmt.Errorf("a burst ended after %d bytes, %d were asked for", t.got, t.burstEnd))
		}
		t.burstEnd = 0
	} else {
		t.announcedCame()
		t.outSN = 0
	}
	if err := c.advance(t); err != nil {
		return err
	}
	return c.solicit()
}

// damaged ends a command whose data failed their digest or order. h is the
// Data-Out, nil for immediate data.
func (c *conn) damaged(t *task, h *pdu.Header) error {
	if h != nil && h.U32(pdu.OffTTT) == pdu.NoTag && h.Final() {
		t.announcedCame()
	}
	c.release(t)
	t.fail(scsi.DamagedData)
	return c.solicit()
}

// release gives back t's share of what is asked for.
func (c *conn) release(t *task) {
	if t.burstEnd > 0 {
		c.solicited -= t.burstEnd - t.got
		t.burstEnd = 0
	}
}
