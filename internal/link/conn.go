// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Errors of Send and causes of Down.
var (
	// ErrDown says that there is no connection to send on.
	ErrDown = errors.New("no connection to the other array")
	// ErrFull says that the connection's queue has no room for the frame.
	ErrFull = errors.New("the queue to the other array is full")
	// ErrSilent says that the other side left pings unanswered.
	ErrSilent = errors.New("the other array does not answer")
	// ErrReplaced says that the other side made the connection anew.
	ErrReplaced = errors.New("the other array connected again")
	// ErrClosed says that this side closed the relation.
	ErrClosed = errors.New("the relation was closed here")
)

// A Conn is one connection, from its Up to its Down.
type Conn struct {
	// Link is the name of its link, Slot 0 for the control connection and the
	// number of the data connection otherwise.
	Link string
	Slot int
	// Generation grows with every connection of the Peer.
	Generation uint64
	// Peer is what the other array said of itself.
	Peer Self

	peer   *Peer
	link   *linkState
	tls    *tls.Conn
	raw    *batchConn
	ctx    context.Context // ends when the connection closes
	cancel context.CancelCauseFunc
	done   chan struct{} // closed after Down

	queue     queue
	confirmed atomic.Uint64 // the other side handled all frames up to this number
	pinged    atomic.Int64  // when the unanswered ping was written, 0 if there is none; see Peer.clock
	answered  atomic.Int64  // when a ping was answered last
	pinging   atomic.Bool   // a ping is queued or unanswered
}

// Control reports whether c is its link's control connection.
func (c *Conn) Control() bool { return c.Slot == 0 }

// String names the connection in logs.
func (c *Conn) String() string {
	if c.Control() {
		return fmt.Sprintf("link %s control #%d", c.Link, c.Generation)
	}
	return fmt.Sprintf("link %s data %d #%d", c.Link, c.Slot, c.Generation)
}

// Send queues a frame on this very connection; see Peer.Send.
func (c *Conn) Send(f Frame) error {
	if err := f.check(); err != nil {
		return err
	}
	_, err := c.send(f)
	return err
}

func (c *Conn) send(f Frame) (seq uint64, err error) {
	if c.Control() && len(f.Payload) > maxControl {
		return 0, fmt.Errorf("send frame: payload of %d bytes on a control connection, at most %d", len(f.Payload), maxControl)
	}
	return c.queue.put(f)
}

// close ends the connection. The first cause is the one that Down reports.
func (c *Conn) close(cause error) {
	c.cancel(cause)
	c.queue.close()
	// Not tls.Close: that would wait for a peer that does not read.
	_ = c.raw.Close()
}

// run carries frames until the connection ends. It blocks.
func (c *Conn) run() {
	c.raw.batch()
	var wg sync.WaitGroup
	c.peer.cfg.Handler.Up(c)
	c.peer.joined(c)
	wg.Go(c.write)
	c.read()
	wg.Wait()
	c.peer.left(c)
	if c.Control() {
		c.link.forget()
	}
	c.peer.cfg.Handler.Down(c, context.Cause(c.ctx))
	c.peer.ended(c)
	close(c.done)
}

// write sends what is queued, in batches.
func (c *Conn) write() {
	const direct = 32 << 10 // larger payloads are not copied together first
	buf := make([]byte, 0, 2*direct+HeaderSize)
	for {
		batch := c.queue.take()
		if batch == nil {
			return
		}
		var err error
		var bytes uint64
		for i := range batch {
			f := &batch[i]
			buf = f.appendHeader(buf)
			bytes += HeaderSize + uint64(len(f.Payload))
			if f.Type == typePing {
				c.pinged.Store(c.peer.clock()) // before it can be answered
			}
			if len(f.Payload) < direct {
				buf = append(buf, f.Payload...)
			} else if _, err = c.tls.Write(buf); err == nil {
				buf = buf[:0]
				_, err = c.tls.Write(f.Payload)
			}
			if err == nil && len(buf) >= direct {
				_, err = c.tls.Write(buf)
				buf = buf[:0]
			}
			if err != nil {
				break
			}
		}
		if err == nil && len(buf) > 0 {
			_, err = c.tls.Write(buf)
			buf = buf[:0]
		}
		if err == nil {
			err = c.raw.flush()
		}
		c.link.sentFrames.Add(uint64(len(batch)))
		c.link.sentBytes.Add(bytes)
		c.queue.written(batch)
		if err != nil {
			c.close(fmt.Errorf("write to the other array: %w", err))
			return
		}
	}
}
