// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
)

var (
	errTaskSetFull  = errors.New("too many immediate commands")
	errUnanswerable = errors.New("whether a command took effect can't be told")
)

// enter takes a task into the table.
func (c *conn) enter(t *task) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tasks[t.itt] != nil {
		return fmt.Errorf("task tag %#x is in use", t.itt)
	}
	if t.imm {
		// The window doesn't bound these.
		if c.immediate >= maxImmediate {
			return errTaskSetFull
		}
		c.immediate++
	}
	c.tasks[t.itt] = t
	return nil
}

func (c *conn) find(itt uint32) *task {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tasks[itt]
}

// done is called when the command is quiet, on any goroutine.
func (t *task) done(*scsi.Command) {
	c := t.conn
	c.mu.Lock()
	t.over = true
	if t.expecting && !t.aborted {
		// RFC 7143 11.7: the response comes after the data that were announced.
		c.mu.Unlock()
		return
	}
	c.leave(t)
}

// announcedCame says that the last of the unsolicited data is here.
func (t *task) announcedCame() {
	c := t.conn
	c.mu.Lock()
	t.expecting = false
	if !t.over || c.tasks[t.itt] != t {
		c.mu.Unlock()
		return
	}
	c.leave(t)
}

// leave takes a task that is over out of the table, unlocks mu, and answers.
func (c *conn) leave(t *task) {
	delete(c.tasks, t.itt)
	if t.imm {
		c.immediate--
	}
	aborted, waiters := t.aborted, t.waiters
	c.mu.Unlock()
	if !t.imm {
		c.sess.slotBack()
	}
	if aborted || t.cmd.Unanswerable {
		if t.cmd.InBuffer != nil {
			t.cmd.InBuffer.Release()
		}
		if !aborted {
			c.close(errUnanswerable)
		}
	} else if err := t.respond(); err != nil {
		c.close(err)
	}
	for _, f := range waiters {
		f()
	}
}

// abort marks those tasks for which hit is true as not to be answered, asks to
// drop them, and calls quiet when all of them are. Only the reader calls it.
func (c *conn) abort(hit func(*task) bool, quiet func()) {
	c.mu.Lock()
	var list []*task
	left := 1
	var end func()
	for _, t := range c.tasks {
		if !hit(t) {
			continue
		}
		t.aborted = true
		t.waiters = append(t.waiters, func() { end() })
		list = append(list, t)
		left++
	}
	end = func() {
		c.mu.Lock()
		left--
		last := left == 0
		c.mu.Unlock()
		if last {
			quiet()
		}
	}
	c.mu.Unlock()
	for _, t := range list {
		c.drop(t)
	}
	end()
}

// drop asks for one task's end.
func (c *conn) drop(t *task) {
	if t.gathering {
		c.release(t)
		t.fail(scsi.Dropped)
		return
	}
	c.mu.Lock()
	if t.over && c.tasks[t.itt] == t {
		c.leave(t) // its answer only waited for data
		return
	}
	c.mu.Unlock()
	t.cmd.Abort()
}

// abortAll aborts every task; the channel is closed when all are quiet.
func (c *conn) abortAll() <-chan struct{} {
	quiet := make(chan struct{})
	c.abort(func(*task) bool { return true }, func() { close(quiet) })
	return quiet
}

// shows reports whether a host that sees this command's response takes the path for one that
// can be used: something was read or written, or the unit is ready, or would be if this array
// served it. Path checkers ask by TEST UNIT READY.
func (t *task) shows() bool {
	switch cmd := &t.cmd; {
	case slices.Contains(readsData, cmd.CDB[0]):
		return cmd.Status == scsi.Good
	case cmd.CDB[0] != 0:
		return cmd.Status == scsi.Good && cmd.Moves > 0
	case cmd.Status == scsi.Good:
		return true
	default:
		return t.notReady(0x0B) // target port in standby state
	}
}

// readsData are the operation codes of READ with 6, 10, 12 and 16 bytes (SBC-3).
var readsData = []byte{0x08, 0x28, 0xA8, 0x88}

// notReady reports whether the unit is not accessible, for a reason (SPC-4 4.5.3, fixed format).
func (t *task) notReady(reason byte) bool {
	s := t.cmd.Sense
	return t.cmd.Status == scsi.CheckCondition && len(s) > 13 && s[2]&0x0F == 0x02 && s[12] == 0x04 && s[13] == reason
}

// takenOut reports whether a host that sees this command's response takes the path out, until its
// path checker finds it again: the port is unavailable, or it is in standby and data were asked
// for. A checker that finds it in standby keeps it.
func (t *task) takenOut() bool {
	return t.notReady(0x0C) || t.cmd.CDB[0] != 0 && t.notReady(0x0B)
}

// respond queues the response of a command.
func (t *task) respond() error {
	const over, under = 0x04, 0x02
	cmd := &t.cmd
	var residual int
	var flags byte
	moved := cmd.Moves
	if works := &t.conn.sess.works; !works.Load() {
		if t.shows() {
			works.Store(true)
		}
	} else if t.takenOut() {
		works.Store(false)
	}
	if len(cmd.In) > 0 || t.read {
		moved = len(cmd.In)
	}
	switch {
	case moved > t.edtl:
		flags, residual = over, moved-t.edtl
	case moved < t.edtl:
		flags, residual = under, t.edtl-moved
	}
	data := cmd.In
	if !t.read {
		data = nil
	}
	data = data[:min(len(data), t.edtl)]
	if cmd.Status == scsi.Good && len(data) > 0 {
		h := pdu.Make(pdu.DataIn, flags|0x01) // S: the status comes with the last
		h[3] = byte(cmd.Status)
		h.Put64(pdu.OffLUN, t.lun)
		h.Put32(pdu.OffITT, t.itt)
		h.Put32(pdu.OffTTT, pdu.NoTag)
		h.Put32(pdu.OffResid, uint32(residual))
		return t.conn.out.put(outgoing{h: h, data: data, buf: cmd.InBuffer, status: true, dataIn: true})
	}
	h := pdu.Make(pdu.SCSIResponse, 0x80|flags)
	h[3] = byte(cmd.Status)
	h.Put32(pdu.OffITT, t.itt)
	h.Put32(pdu.OffResid, uint32(residual))
	var sense []byte
	if n := len(cmd.Sense); n > 0 {
		sense = append([]byte{byte(n >> 8), byte(n)}, cmd.Sense...)
	}
	return t.conn.out.put(outgoing{h: h, data: sense, buf: cmd.InBuffer, status: true, acked: cmd.Acknowledged})
}

// taskSetFull answers an immediate command beyond the limit.
func (c *conn) taskSetFull(t *task) error {
	t.cmd.Status = scsi.TaskSetFull
	return t.respond()
}
