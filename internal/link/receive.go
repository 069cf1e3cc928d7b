// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// read delivers frames until the connection ends.
func (c *Conn) read() {
	in := bufio.NewReaderSize(c.tls, 64<<10)
	var head [HeaderSize]byte
	for {
		if err := c.readFrame(in, head[:]); err != nil {
			c.close(fmt.Errorf("read from the other array: %w", err))
			return
		}
	}
}

func (c *Conn) readFrame(in io.Reader, head []byte) error {
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	f, size, sum, err := decodeHeader(head)
	if err != nil {
		return err
	}
	pool := c.peer.cfg.Pool
	if c.Control() {
		// Memory of its own: leases must not wait for data to be written.
		pool = c.peer.small
		if size > maxControl {
			return errTooLong
		}
	}
	if size > 0 {
		if f.Buf, err = pool.Wait(c.ctx, size); err != nil {
			return err
		}
		defer f.Buf.Release()
		f.Payload = f.Buf.Bytes()
		if _, err := io.ReadFull(in, f.Payload); err != nil {
			return err
		}
	}
	if err := verify(f.Payload, sum); err != nil {
		return err
	}
	c.link.recvFrames.Add(1)
	c.link.recvBytes.Add(HeaderSize + uint64(size))
	return c.deliver(f)
}

func verify(payload []byte, sum uint32) error {
	if block.Checksum(payload) != sum {
		return errPayload
	}
	return nil
}

// deliver handles the link's own frames and hands on the user's.
func (c *Conn) deliver(f Frame) error {
	switch f.Type {
	case typePing:
		// Queued after the handler returned from all frames before: the answer says
		// that they were handled.
		_, err := c.queue.put(Frame{Type: typePong, Position: f.Position})
		return err
	case typePong:
		c.pong(f.Position.Place)
		return nil
	}
	if f.Type < FirstType {
		return array.Errorf(array.Invalid, "frame of unknown type %d", f.Type)
	}
	c.peer.cfg.Handler.Frame(c, f)
	return nil
}

// ping asks for an answer, unless one is due.
func (c *Conn) ping() {
	if !c.pinging.CompareAndSwap(false, true) {
		return
	}
	f := Frame{Type: typePing}
	f.Position.Place = array.Place(c.queue.sent())
	_, _ = c.queue.put(f) // a closed queue is noticed elsewhere
}

// pong takes the answer to a ping that was queued after frame n. A peer that
// answers what was not asked is not believed.
func (c *Conn) pong(n array.Place) {
	now := c.peer.clock()
	sent := c.pinged.Swap(0)
	c.answered.Store(now)
	if uint64(n) > c.queue.sent() {
		return
	}
	c.confirmed.Store(max(c.confirmed.Load(), uint64(n)))
	c.pinging.Store(false)
	if sent != 0 && c.Control() {
		c.link.measured(time.Duration(now - sent))
	}
}
