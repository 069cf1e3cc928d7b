// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/iscsi/pdu"
)

const (
	// flushBytes and flushParts bound what is written in one go.
	flushBytes = 2 << 20
	flushParts = 512
	// inlineData is up to which size data are copied beside their header, so that
	// the kernel gets fewer pieces.
	inlineData = 512
)

// outgoing is a PDU, or for dataIn a sequence of them, on its way to the writer.
type outgoing struct {
	h    pdu.Header
	data []byte
	// buf holds data's memory and is released when it was written.
	buf *block.Buffer
	// status says that the PDU takes a StatSN; others carry the next one.
	status bool
	// dataIn says that data go out as Data-In PDUs made after h, the last with
	// the status if status is set.
	dataIn bool
	// after is called when the PDU was written.
	after func()
	// acked is called when the host has acknowledged the status.
	acked func()
}

// output is the queue to a connection's writer goroutine.
type output struct {
	conn *conn
	raw  *rawWriter    // nil if it is no TCP connection
	wake chan struct{} // capacity 1

	mu      sync.Mutex
	queue   []outgoing
	stopped bool

	// sending guards what follows: the writer holds it while it works, and the
	// reader when it sends in its place. (Login is before both.)
	sending sync.Mutex
	statSN  uint32
	arena   []byte
	parts   net.Buffers
	iov     net.Buffers
	bytes   int
	held    []*block.Buffer
	after   []func()
	header  pdu.Header // the one that is being made
	spare   []outgoing // the queue of the last turn, to be used again

	// corked says that the reader is at work on what it has read: what it and others
	// queue meanwhile goes out together, at the latest when it waits for its socket.
	corked atomic.Bool

	acks ledger
	done chan struct{} // closed when the writer has ended
}

func newOutput(c *conn) *output {
	return &output{conn: c, wake: make(chan struct{}, 1), statSN: 1, done: make(chan struct{})}
}

// put queues o. It fails when the host leaves too much unread; after stop it
// drops o silently.
func (w *output) put(o outgoing) error {
	w.mu.Lock()
	if w.stopped || len(w.queue) >= maxQueued {
		full := !w.stopped
		w.mu.Unlock()
		if o.buf != nil {
			o.buf.Release()
		}
		if full {
			return errors.New("the host leaves its responses unread")
		}
		return nil
	}
	w.queue = append(w.queue, o)
	first := len(w.queue) == 1
	w.mu.Unlock()
	if first && !w.corked.Load() {
		w.signal()
	}
	return nil
}

func (w *output) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// cork holds the writer back until uncork.
func (w *output) cork() { w.corked.Store(true) }

// uncork sends what was queued, as the reader is about to wait. Who queues after
// the look at the queue sees that corked is false and wakes the writer itself.
func (w *output) uncork() {
	w.corked.Store(false)
	w.mu.Lock()
	waiting := len(w.queue) > 0
	w.mu.Unlock()
	if waiting && !w.direct() {
		w.signal()
	}
}

// stop ends the writer; what is queued is dropped.
func (w *output) stop() {
	w.mu.Lock()
	w.stopped = true
	queue := w.queue
	w.queue = nil
	w.mu.Unlock()
	for _, o := range queue {
		if o.buf != nil {
			o.buf.Release()
		}
	}
	w.signal()
}

// run is the writer goroutine.
func (w *output) run() {
	defer close(w.done)
	for range w.wake {
		w.sending.Lock()
		queue, stopped := w.take()
		var err error
		if stopped {
			w.sent()
		} else {
			err = w.send(queue)
		}
		w.sending.Unlock()
		if stopped {
			return
		}
		if err != nil {
			w.conn.close(err)
		}
	}
}

// take empties the queue. Callers hold sending until they are done with it.
func (w *output) take() (queue []outgoing, stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue = w.queue
	w.queue = w.spare[:0]
	w.spare = queue
	return queue, w.stopped
}

// send writes a batch, after what the reader may have left; it owns the batch's
// buffers.
func (w *output) send(batch []outgoing) error {
	err := w.add(batch, w.flush)
	if ferr := w.flush(); err == nil {
		err = ferr
	}
	w.sent()
	return err
}

// add makes PDUs of a batch. full is called when there is enough to write.
func (w *output) add(batch []outgoing, full func() error) (err error) {
	for i := range batch {
		o := &batch[i]
		if o.buf != nil {
			w.held = append(w.held, o.buf)
		}
		if err != nil {
			continue // only to release what the batch holds
		}
		if o.after != nil {
			w.after = append(w.after, o.after)
		}
		if o.acked != nil {
			w.acks.await(w.statSN, o.acked)
		}
		if o.dataIn {
			w.dataIn(o)
		} else {
			w.pdu(&o.h, o.data, o.status)
		}
		if err == nil && (w.bytes >= flushBytes || len(w.parts) >= flushParts) {
			err = full()
		}
	}
	clear(batch)
	return err
}

// sent releases what was needed until all was written.
func (w *output) sent() {
	for _, b := range w.held {
		b.Release()
	}
	clear(w.held)
	w.held = w.held[:0]
	for _, f := range w.after {
		f()
	}
	w.after = w.after[:0]
}

// dataIn cuts data into Data-In PDUs of what the host takes, within bursts.
func (w *output) dataIn(o *outgoing) {
	p := &w.conn.params
	dataSN := uint32(0)
	h := &w.header
	for off := 0; off < len(o.data); {
		inBurst := off % p.maxBurst
		n := min(len(o.data)-off, int(w.conn.sendMax.Load()), p.maxBurst-inBurst)
		*h = o.h
		last := off+n == len(o.data)
		if !last {
			h[1], h[3] = 0, 0
			h.Put32(pdu.OffResid, 0)
		}
		if last || inBurst+n == p.maxBurst {
			h[1] |= 0x80
		}
		h.Put32(pdu.OffDataSN, dataSN)
		h.Put32(pdu.OffBuffer, uint32(off))
		w.pdu(h, o.data[off:off+n], last && o.status)
		dataSN++
		off += n
	}
}

// pdu adds one PDU to what is to be written. Data-In without status carries no
// StatSN.
func (w *output) pdu(h *pdu.Header, data []byte, status bool) {
	c := w.conn
	if status || h.Op() != pdu.DataIn {
		h.Put32(pdu.OffStatSN, w.statSN)
	}
	if status {
		w.statSN++
	}
	h.Put32(pdu.OffExpCmd, c.sess.expCmdSN.Load())
	h.Put32(pdu.OffMaxCmd, c.sess.maxCmdSN.Load())
	h.SetDataLen(len(data))

	start := len(w.arena)
	w.arena = pdu.AppendHeader(w.arena, h, c.params.headerDigest)
	if len(data) > inlineData {
		w.part(w.arena[start:])
		w.part(data)
		start = len(w.arena)
		w.arena = pdu.AppendTrailer(w.arena, data, c.params.dataDigest)
	} else {
		w.arena = append(w.arena, data...)
		w.arena = pdu.AppendTrailer(w.arena, data, c.params.dataDigest)
	}
	if len(w.arena) > start {
		w.part(w.arena[start:])
	}
}

// part adds bytes to be written, joined to the last part where both lie side by
// side in the arena.
func (w *output) part(b []byte) {
	w.bytes += len(b)
	if n := len(w.parts); n > 0 {
		last := w.parts[n-1]
		if end := last[:cap(last)]; len(end) > len(last) && &end[len(last)] == &b[0] {
			w.parts[n-1] = last[:len(last)+len(b)]
			return
		}
	}
	w.parts = append(w.parts, b)
}

// flush writes what has been added. The host has the deadline for any progress,
// not for the whole: a slow line is no dead one.
func (w *output) flush() error {
	if w.raw != nil && w.now() {
		clear(w.parts)
		w.parts, w.arena = w.parts[:0], w.arena[:0]
		return nil
	}
	w.iov = w.parts // WriteTo eats its receiver; parts keeps the memory
	var err error
	for len(w.iov) > 0 && err == nil {
		if err = w.conn.nc.SetWriteDeadline(time.Now().Add(w.conn.target.limits.Write)); err != nil {
			break
		}
		var n int64
		n, err = w.iov.WriteTo(w.conn.nc)
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	}
	clear(w.parts)
	w.parts, w.arena, w.bytes = w.parts[:0], w.arena[:0], 0
	return err
}
