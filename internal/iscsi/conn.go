// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

// conn is one connection, from accept to the quiet of its last command.
type conn struct {
	target *Target
	nc     net.Conn
	portal portal
	log    *slog.Logger
	src    *source
	in     *pdu.Reader
	out    *output
	params params
	cid    uint16
	from   netip.Addr // see origin
	host   *hostUse   // set when login has proved whose the connection is
	// sendMax is params.sendMax, which text can change while the writer runs.
	sendMax atomic.Int32
	sess    *session      // set by login
	ready   atomic.Bool   // login is over: sess may be read by others
	ended   chan struct{} // closed when the connection is over

	closing sync.Once
	reason  atomic.Pointer[error]

	// Keep-alive, in nanoseconds of CLOCK_BOOTTIME.
	heard  atomic.Int64 // when the host last said something
	pinged atomic.Int64 // when it was asked to, 0 if it wasn't
	// pingWritten is when the ping went out, 0 while it waits behind other things.
	pingWritten atomic.Int64

	// The reader's own.
	solicited int     // bytes asked for by R2T and not here yet
	wantData  []*task // those that wait to ask
	lastTTT   uint32
	moreText  []byte // of a text response that didn't fit
	textTTT   uint32

	mu        sync.Mutex
	quick     task // the reader's own, for one command at a time
	tasks     map[uint32]*task
	immediate int // of them
	managing  int // task management functions that are not answered yet
}

func newConn(t *Target, nc net.Conn, p portal) *conn {
	c := &conn{
		target: t,
		nc:     nc,
		portal: p,
		log:    t.log.With("remote", nc.RemoteAddr().String()),
		params: defaultParams(),
		ended:  make(chan struct{}),
		tasks:  make(map[uint32]*task),
	}
	c.out = newOutput(c)
	c.src = newSource(nc, t.pulse, c.out)
	c.in = pdu.NewReader(c.src, loginMaxRecv)
	return c
}

// serve is the reader goroutine: login, then PDU after PDU, then the end.
func (c *conn) serve() {
	defer c.target.wg.Done()
	c.setOptions()
	err := c.login()
	c.target.outOfLogin(c)
	if err == nil {
		c.log = c.log.With("initiator", c.sess.key.initiator)
		c.log.Info("iSCSI session opened", "discovery", c.sess.discovery, "tag", c.portal.group.Tag)
		go c.out.run()
		err = c.receive()
	}
	c.close(err)
	c.finish()
	c.target.removeConn(c)
	close(c.ended)
}

// setOptions tunes the socket. Failing to is no reason to refuse a host.
func (c *conn) setOptions() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetNoDelay(true)
	if rc, err := tcp.SyscallConn(); err == nil {
		c.src.conn, c.out.raw = newRawReader(rc), newRawWriter(rc)
		rc.Control(func(fd uintptr) {
			// Unacknowledged bytes mean a dead host as much as unanswered pings do.
			limit := int((c.target.limits.Quiet + c.target.limits.Answer) / time.Millisecond)
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, limit)
		})
	}
}

// close ends the connection, for the first reason given. Anybody may call it.
func (c *conn) close(reason error) {
	c.closing.Do(func() {
		if reason == nil {
			reason = io.EOF
		}
		c.reason.Store(&reason)
		c.nc.Close()
	})
}

// finish runs when the reader has ended: it aborts what is under way, waits until
// all of it is quiet, and only then gives the session's place free.
func (c *conn) finish() {
	c.out.stop()
	if c.host != nil {
		defer c.target.leave(c.host)
	}
	if c.sess == nil {
		c.log.Info("iSCSI login ended without a session", "reason", *c.reason.Load())
		return
	}
	if c.ready.Load() {
		<-c.out.done
	}
	<-c.abortAll()
	c.target.end(c.sess)
	level := slog.LevelWarn
	if reason := *c.reason.Load(); errors.Is(reason, io.EOF) || errors.Is(reason, errLoggedOut) {
		level = slog.LevelInfo
	}
	c.log.Log(c.target.ctx, level, "iSCSI session closed", "reason", *c.reason.Load())
}

// receive handles PDUs until the connection ends.
func (c *conn) receive() error {
	var h pdu.Header
	for {
		if err := c.in.Next(&h); err != nil {
			return err
		}
		c.heard.Store(c.src.last)
		if err := c.handle(&h); err != nil {
			return err
		}
	}
}

// handle dispatches one PDU of the full feature phase.
func (c *conn) handle(h *pdu.Header) error {
	c.out.acks.acknowledged(h.U32(pdu.OffExpStat))
	op := h.Op()
	if c.sess.discovery && op != pdu.TextReq && op != pdu.LogoutReq && op != pdu.NopOut {
		return c.reject(h, pdu.ReasonProtocol)
	}
	if op != pdu.DataOut && op != pdu.SNACK && op <= pdu.LogoutReq {
		if fresh, err := c.sequence(h); err != nil || !fresh {
			return err
		}
	}
	switch op {
	case pdu.SCSICommand:
		return c.command(h)
	case pdu.DataOut:
		return c.dataOut(h)
	case pdu.TaskRequest:
		return c.taskRequest(h)
	case pdu.NopOut:
		return c.nopOut(h)
	case pdu.TextReq:
		return c.text(h)
	case pdu.LogoutReq:
		return c.logout(h)
	case pdu.SNACK:
		return c.reject(h, pdu.ReasonSNACK) // error recovery level 0 has none
	case pdu.LoginReq:
		return c.violation(h, errors.New("a login request in the full feature phase"))
	}
	return c.reject(h, pdu.ReasonUnsupported)
}

// sequence holds a request against the command window and advances it. What is
// outside is ignored (RFC 7143 4.2.2.1). A gap can't close on a single
// connection: commands were lost, and the session with them.
func (c *conn) sequence(h *pdu.Header) (fresh bool, err error) {
	if h.Immediate() {
		return true, nil
	}
	sn, exp := h.U32(pdu.OffCmdSN), c.sess.expCmdSN.Load()
	if ahead := int32(sn - exp); ahead < 0 || int32(c.sess.maxCmdSN.Load()-sn) < 0 {
		return false, nil
	} else if ahead > 0 {
		return false, c.violation(h, errors.New("a gap in the command numbers"))
	}
	c.sess.expCmdSN.Store(exp + 1)
	if h.Op() != pdu.SCSICommand {
		c.sess.slotBack() // over as soon as it is handled
	}
	return true, nil
}

// reject sends a reject with the header in question, and drops its data.
func (c *conn) reject(h *pdu.Header, reason byte) error { return c.rejectThen(h, reason, nil) }

// rejectThen is reject, and calls after when it was sent.
func (c *conn) rejectThen(h *pdu.Header, reason byte, after func()) error {
	r := pdu.Make(pdu.Reject, 0x80)
	r[2] = reason
	r.Put32(pdu.OffITT, pdu.NoTag)
	head := *h
	return c.out.put(outgoing{h: r, data: head[:], status: true, after: after})
}

// violation answers a breach of the protocol after which nothing that comes can be
// trusted: a reject, and then the end of the connection (RFC 7143 7.13). What the host
// sends meanwhile is dropped unread.
func (c *conn) violation(h *pdu.Header, cause error) error {
	if err := c.rejectThen(h, pdu.ReasonProtocol, func() { c.close(cause) }); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(c.target.limits.Answer)); err != nil {
		return cause
	}
	for {
		var next pdu.Header
		if err := c.in.Next(&next); err != nil && !errors.Is(err, pdu.ErrDataDigest) {
			return cause
		}
	}
}
