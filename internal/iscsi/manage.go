// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/iscsi/pdu"
	"github.com/perdure/perdure/internal/scsi"
)

// Task management functions and responses (RFC 7143 11.5, 11.6).
const (
	abortTask    = 1
	abortTaskSet = 2
	clearACA     = 3
	clearTaskSet = 4
	unitReset    = 5
	warmReset    = 6
	coldReset    = 7
	reassign     = 8

	functionComplete     = 0
	taskAbsent           = 1
	lunAbsent            = 2
	reassignNotSupported = 4
	notSupported         = 5
	functionRejected     = 255
)

// taskRequest handles a Task Management Function Request. Its response is sent
// when everything that it is about is quiet. A host that does not wait for responses, while commands
// are held, is refused further ones: neither the command window nor their end bounds them.
func (c *conn) taskRequest(h *pdu.Header) error {
	function, lun, ref := h[1]&0x7F, h.U64(pdu.OffLUN), h.U32(20)
	itt := h.ITT()
	c.mu.Lock()
	full := c.managing >= maxManaging
	c.managing++
	c.mu.Unlock()
	answer := func(response byte) {
		c.mu.Lock()
		c.managing--
		c.mu.Unlock()
		r := pdu.Make(pdu.TaskResponse, 0x80)
		r[2] = response
		r.Put32(pdu.OffITT, itt)
		if err := c.out.put(outgoing{h: r, status: true}); err != nil {
			c.close(err)
		}
	}
	if full {
		answer(functionRejected)
		return nil
	}
	nexus := c.sess.nexus
	onUnit := func(t *task) bool { return t.lun == lun }
	switch function {
	case abortTask:
		if t := c.find(ref); t == nil || t.lun != lun {
			answer(taskAbsent)
			return nil
		}
		c.abort(func(t *task) bool { return t.itt == ref }, func() { answer(functionComplete) })
	case abortTaskSet:
		c.abort(onUnit, func() { answer(functionComplete) })
	case clearTaskSet:
		c.abortAnd(onUnit, func(done func(error)) { nexus.Reset(lun, scsi.ClearTasks, done) }, answer)
	case unitReset:
		c.abortAnd(onUnit, func(done func(error)) { nexus.Reset(lun, scsi.ResetUnit, done) }, answer)
	case warmReset, coldReset:
		// A cold reset does no more than a warm one: closing the sessions of other
		// hosts is not one host's to ask for.
		c.abortAnd(func(*task) bool { return true }, nexus.ResetAll, answer)
	case reassign:
		answer(reassignNotSupported)
	case clearACA:
		answer(notSupported)
	default:
		answer(functionRejected)
	}
	return nil
}

// abortAnd aborts this session's tasks, then resets, then answers.
func (c *conn) abortAnd(hit func(*task) bool, reset func(func(error)), answer func(byte)) {
	c.abort(hit, func() {
		reset(func(err error) {
			switch {
			case err == nil:
				answer(functionComplete)
			case array.KindOf(err) == array.NotFound:
				answer(lunAbsent)
			default:
				answer(functionRejected)
			}
		})
	})
}
