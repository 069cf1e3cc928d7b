// SPDX-License-Identifier: Apache-2.0

package initiator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/iscsi/pdu"
)

const maxRecv = 64 << 10

// Config says how to log in.
type Config struct {
	Addr   string
	Target string // empty for discovery
	Name   string
	ISID   [6]byte
	// User and Secret answer CHAP. TargetSecret asks the target to prove itself.
	User, Secret, TargetSecret string
	// Keys are offered beside or instead of the defaults.
	Keys map[string]string
	// Silent doesn't answer the target's pings.
	Silent bool
	// Async is called with the event of each asynchronous message. Optional.
	Async func(event byte)
	// Dial connects, for hosts in other network namespaces. Optional.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout bounds every wait; 10 s by default.
	Timeout time.Duration
	// Login bounds connecting and logging in, each; Timeout by default.
	Login time.Duration
}

// Conn is a logged in connection.
type Conn struct {
	cfg    Config
	nc     net.Conn
	in     *pdu.Reader
	Keys   map[string]string // what the target answered
	TSIH   uint16
	closed chan struct{}
	ended  chan struct{} // the receiver has ended

	wmu sync.Mutex // guards writing, so that PDUs of a burst stay whole

	mu       sync.Mutex
	cmdSN    uint32
	maxCmdSN uint32
	statSN   uint32 // the next expected
	lastITT  uint32
	calls    map[uint32]*call
	err      error
}

// call is a request that waits for its answer.
type call struct {
	cmd  *Command
	data []byte // received
	done chan reply
}

// reply ends a call.
type reply struct {
	h    pdu.Header
	data []byte
	err  error
}

// Dial connects and logs in.
func Dial(cfg Config) (*Conn, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Login == 0 {
		cfg.Login = cfg.Timeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Login)
	defer cancel()
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	nc, err := cfg.Dial(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("dial target: %w", err)
	}
	c := &Conn{
		cfg: cfg, nc: nc, in: pdu.NewReader(nc, maxRecv), Keys: make(map[string]string),
		closed: make(chan struct{}), ended: make(chan struct{}), cmdSN: 1, calls: make(map[uint32]*call),
	}
	if err := c.login(); err != nil {
		nc.Close()
		return nil, err
	}
	go c.receive()
	return c, nil
}

// Close drops the connection without a logout.
func (c *Conn) Close() {
	c.nc.Close()
	<-c.ended
}

// Ended is closed when the connection is over.
func (c *Conn) Ended() <-chan struct{} { return c.ended }

// Detach stops the receiver and leaves the socket to the caller.
func (c *Conn) Detach() {
	c.nc.SetReadDeadline(time.Unix(1, 0))
	<-c.ended
	c.nc.SetReadDeadline(time.Time{})
}

// Numbers returns the number of the next command, and of the next status.
func (c *Conn) Numbers() (cmdSN, statSN uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cmdSN, c.statSN
}

// Net returns the socket, for tests that misuse it.
func (c *Conn) Net() net.Conn { return c.nc }

// Send writes one PDU as it is, beside its data segment length.
func (c *Conn) Send(h pdu.Header, data []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.send(&h, data)
}

func (c *Conn) send(h *pdu.Header, data []byte) error {
	_, err := c.nc.Write(pdu.Append(nil, h, data, c.Keys["HeaderDigest"] == "CRC32C", c.Keys["DataDigest"] == "CRC32C"))
	return err
}

// Tag returns a fresh task tag.
func (c *Conn) Tag() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastITT++
	return c.lastITT
}

// number fills in command and status numbers. Callers hold wmu, so numbers go
// out in order.
func (c *Conn) number(h *pdu.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.Put32(pdu.OffCmdSN, c.cmdSN)
	if !h.Immediate() {
		c.cmdSN++
	}
	h.Put32(pdu.OffExpStat, c.statSN)
}

// request sends a PDU and returns the call that its answer ends.
func (c *Conn) request(h pdu.Header, data []byte, cmd *Command) (*call, error) {
	k := &call{cmd: cmd, done: make(chan reply, 1)}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return nil, c.err
	}
	c.calls[h.ITT()] = k
	c.mu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.number(&h)
	if err := c.send(&h, data); err != nil {
		return nil, err
	}
	return k, nil
}

var errTimeout = errors.New("the target did not answer in time")

// wait returns the call's answer.
func (c *Conn) wait(k *call) reply {
	timer := time.NewTimer(c.cfg.Timeout)
	defer timer.Stop()
	select {
	case r := <-k.done:
		return r
	case <-timer.C:
		return reply{err: errTimeout}
	}
}

// receive takes PDUs until the connection ends.
func (c *Conn) receive() {
	defer close(c.ended)
	var err error
	for err == nil {
		var h pdu.Header
		if err = c.in.Next(&h); err != nil {
			break
		}
		data := make([]byte, h.DataLen())
		if err = c.in.Data(data); err == nil {
			err = c.handle(&h, data)
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.nc.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("the connection ended: %w", err)
	for _, k := range c.calls {
		k.done <- reply{err: c.err}
	}
	c.calls = nil
}

// handle takes one PDU.
func (c *Conn) handle(h *pdu.Header, data []byte) error {
	c.mu.Lock()
	k := c.calls[h.ITT()]
	dataIn := h.Op() == pdu.DataIn
	if h.Op() != pdu.R2T && (!dataIn || h[1]&1 != 0) && (h.Op() != pdu.NopIn || h.ITT() != pdu.NoTag) {
		c.statSN = h.U32(pdu.OffStatSN) + 1
	}
	if h.Op() != pdu.Reject {
		c.maxCmdSN = h.U32(pdu.OffMaxCmd)
	}
	final := k != nil && h.Op() != pdu.R2T && (!dataIn || h[1]&1 != 0)
	if final {
		delete(c.calls, h.ITT())
	}
	c.mu.Unlock()
	switch {
	case h.Op() == pdu.NopIn && h.ITT() == pdu.NoTag:
		return c.pong(h)
	case h.Op() == pdu.Async:
		if c.cfg.Async != nil {
			c.cfg.Async(h[36])
		}
	case h.Op() == pdu.Reject:
		return c.rejected(h, data)
	case k == nil:
		return fmt.Errorf("operation %#x for unknown tag %#x", h.Op(), h.ITT())
	case h.Op() == pdu.R2T:
		return c.answerR2T(k, h)
	case dataIn:
		if off := int(h.U32(pdu.OffBuffer)); off != len(k.data) {
			return fmt.Errorf("Data-In at %d, expected at %d", off, len(k.data))
		}
		k.data = append(k.data, data...)
		data = k.data
	}
	if final {
		k.done <- reply{h: *h, data: data}
	}
	return nil
}

// rejected ends the call whose header came back.
func (c *Conn) rejected(h *pdu.Header, data []byte) error {
	var bad pdu.Header
	if copy(bad[:], data) < len(bad) {
		return errors.New("a reject without a header")
	}
	c.mu.Lock()
	k := c.calls[bad.ITT()]
	dataOut := bad.Op() == pdu.DataOut // its command still gets an answer
	if k != nil && !dataOut {
		delete(c.calls, bad.ITT())
	}
	c.mu.Unlock()
	if k != nil && !dataOut {
		k.done <- reply{err: &RejectError{h[2]}}
	}
	return nil
}

// RejectError is a Reject PDU.
type RejectError struct{ Reason byte }

func (e *RejectError) Error() string { return fmt.Sprintf("rejected for reason %#x", e.Reason) }

// pong answers the target's ping.
func (c *Conn) pong(h *pdu.Header) error {
	if c.cfg.Silent || h.U32(pdu.OffTTT) == pdu.NoTag {
		return nil
	}
	r := pdu.Make(0x40|pdu.NopOut, 0x80)
	r.Put32(pdu.OffITT, pdu.NoTag)
	r.Put32(pdu.OffTTT, h.U32(pdu.OffTTT))
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.number(&r)
	return c.send(&r, nil)
}

// Window returns how many more commands the target takes now.
func (c *Conn) Window() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(int32(c.maxCmdSN-c.cmdSN)) + 1
}
