// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bufio"
	"net"
	"sync"
	"time"
)

const (
	readAhead = 128 << 10
	// flushAt is how much is written with one system call at most, and within one
	// write deadline.
	flushAt = 256 << 10
)

// A batchConn sits between TLS and the socket: TLS writes every record of 16 KiB by
// itself and reads in pieces, and system calls are dearer than copies.
type batchConn struct {
	net.Conn
	in      *bufio.Reader
	timeout time.Duration

	mu   sync.Mutex // TLS also writes from its reading side
	hold bool       // collect until flush
	out  []byte
}

func newBatchConn(c net.Conn, timeout time.Duration) *batchConn {
	return &batchConn{Conn: c, in: bufio.NewReaderSize(c, readAhead), timeout: timeout}
}

// Read reads what was read ahead, or more.
func (b *batchConn) Read(p []byte) (int, error) { return b.in.Read(p) }

// Write sends p, or keeps it for the next flush once batch was called.
func (b *batchConn) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.hold {
		return b.Conn.Write(p)
	}
	b.out = append(b.out, p...)
	if len(b.out) < flushAt {
		return len(p), nil
	}
	if err := b.flushLocked(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// batch lets Write collect from now on.
func (b *batchConn) batch() {
	b.mu.Lock()
	b.hold = true
	b.mu.Unlock()
}

// flush sends what Write collected. A peer that takes nothing for the timeout
// fails it.
func (b *batchConn) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flushLocked()
}

func (b *batchConn) flushLocked() error {
	if len(b.out) == 0 {
		return nil
	}
	if err := b.Conn.SetWriteDeadline(time.Now().Add(b.timeout)); err != nil {
		return err
	}
	_, err := b.Conn.Write(b.out)
	if cap(b.out) > 2*flushAt {
		b.out = nil
	}
	b.out = b.out[:0]
	return err
}
