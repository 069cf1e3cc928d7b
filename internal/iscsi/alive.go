// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// pingTag marks our own pings; there is one at a time.
const pingTag = 1

// Async events (RFC 7143 11.9).
const eventLogout = 1

var (
	errDead      = errors.New("the host does not answer pings")
	errLoggedOut = errors.New("the host logged out")
)

// nopOut handles a NOP-Out: the host's ping, or its answer to ours.
func (c *conn) nopOut(h *pdu.Header) error {
	if h.ITT() == pdu.NoTag {
		return nil // heard already has it
	}
	n := min(h.DataLen(), int(c.sendMax.Load()))
	r := pdu.Make(pdu.NopIn, 0x80)
	r.Put64(pdu.OffLUN, h.U64(pdu.OffLUN))
	r.Put32(pdu.OffITT, h.ITT())
	r.Put32(pdu.OffTTT, pdu.NoTag)
	o := outgoing{h: r, status: true}
	if n > 0 {
		buf, ok := c.host.share.Get(n)
		if !ok {
			return c.reject(h, pdu.ReasonTooManyImm)
		}
		if err := c.in.Data(buf.Bytes()); err != nil {
			buf.Release()
			if errors.Is(err, pdu.ErrDataDigest) {
				return c.reject(h, pdu.ReasonDataDigest)
			}
			return err
		}
		o.buf, o.data = buf, buf.Bytes()
	}
	return c.out.put(o)
}

// ping asks a host that has been quiet whether it is there, and closes the
// connection of one that does not say. It is called every tick. The time for the
// answer begins when the ping was written: before it stand the data of a slow
// line, whose progress is the writer's to watch.
func (c *conn) ping() {
	if !c.ready.Load() {
		return
	}
	now := c.target.pulse.last.Load()
	heard, pinged, written := c.heard.Load(), c.pinged.Load(), c.pingWritten.Load()
	unanswered := pinged > heard
	switch {
	case unanswered && written != 0 && now-written >= int64(c.target.limits.Answer):
		c.close(errDead)
	case !unanswered && now-heard >= int64(c.target.limits.Quiet) && (pinged == 0 || written != 0):
		// The answer may come before the writer gets to note that it has written:
		// what counts as an answer counts from here.
		c.pinged.Store(now)
		c.pingWritten.Store(0)
		h := pdu.Make(pdu.NopIn, 0x80)
		h.Put32(pdu.OffITT, pdu.NoTag)
		h.Put32(pdu.OffTTT, pingTag)
		note := func() { c.pingWritten.Store(c.target.pulse.now()) }
		if err := c.out.put(outgoing{h: h, after: note}); err != nil {
			c.close(err)
		}
	}
}

// askLogout asks the host to log out within d.
func (c *conn) askLogout(d time.Duration) {
	if !c.ready.Load() {
		c.close(errors.New("the target closes"))
		return
	}
	h := pdu.Make(pdu.Async, 0x80)
	h.Put32(pdu.OffITT, pdu.NoTag)
	h.Put32(20, pdu.NoTag)
	h[36] = eventLogout
	h.Put16(42, uint16(d/time.Second)) // parameter 3: by when, in seconds
	if err := c.out.put(outgoing{h: h, status: true}); err != nil {
		c.close(err)
	}
}

// logout handles a Logout Request: what is under way is aborted, and answered
// when it is quiet. Closing the session and closing its only connection are one.
func (c *conn) logout(h *pdu.Header) error {
	const forRecovery, cidNotFound, recoveryNotSupported = 2, 1, 2
	reason, itt := h[1]&0x7F, h.ITT()
	answer := func(response byte, after func()) {
		r := pdu.Make(pdu.LogoutResp, 0x80)
		r[2] = response
		r.Put32(pdu.OffITT, itt)
		if err := c.out.put(outgoing{h: r, status: true, after: after}); err != nil {
			c.close(err)
		}
	}
	switch {
	case reason == forRecovery:
		answer(recoveryNotSupported, nil)
	case reason > forRecovery:
		return c.reject(h, pdu.ReasonInvalidField)
	case reason == 1 && h.U16(20) != c.cid:
		answer(cidNotFound, nil)
	default:
		c.abort(func(*task) bool { return true }, func() {
			answer(0, func() { c.close(errLoggedOut) })
		})
	}
	return nil
}
