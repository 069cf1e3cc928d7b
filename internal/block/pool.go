// SPDX-License-Identifier: Apache-2.0

package block

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

// classes is the number of size classes: 4 KiB, 8 KiB ... 1 MiB, and MaxBuffer.
const classes = 10

// A Pool hands out buffers up to a ceiling of bytes. Idle memory is left to the
// garbage collector's discretion (sync.Pool), so the ceiling bounds what is in
// use, and a quiet daemon shrinks.
type Pool struct {
	limit int64
	used  atomic.Int64 // handed out, or set aside for shares
	spare atomic.Int64 // of used: set aside and not handed out
	aside atomic.Int64 // all guarantees of shares
	idle  [classes]sync.Pool

	waiting atomic.Int32 // length of queue, readable without the lock
	mu      sync.Mutex   // guards queue
	queue   []*waiter    // first come, first served
}

type waiter struct {
	class int
	n     int
	ready chan *Buffer // capacity 1
}

// NewPool returns a pool that hands out at most limit bytes at a time.
func NewPool(limit int64) *Pool { return &Pool{limit: max(limit, MaxBuffer)} }

// Limit returns the pool's ceiling in bytes.
func (p *Pool) Limit() int64 { return p.limit }

// Used returns the bytes handed out now.
func (p *Pool) Used() int64 { return p.used.Load() - p.spare.Load() }

// Get returns a buffer of n bytes, or false when the pool is at its ceiling or
// others already wait. It never blocks. It panics if n is beyond MaxBuffer: that
// must have been checked where n was read.
func (p *Pool) Get(n int) (*Buffer, bool) {
	c := classOf(n)
	if p.waiting.Load() > 0 || !p.reserve(c) {
		return nil, false
	}
	return p.take(c, n), true
}

// Wait returns a buffer of n bytes, after those who asked before. It fails only
// when ctx ends first.
func (p *Pool) Wait(ctx context.Context, n int) (*Buffer, error) {
	if b, ok := p.Get(n); ok {
		return b, nil
	}
	w := &waiter{class: classOf(n), n: n, ready: make(chan *Buffer, 1)}
	p.mu.Lock()
	p.queue = append(p.queue, w)
	p.waiting.Add(1)
	p.serve() // what was released before we were visible
	p.mu.Unlock()
	select {
	case b := <-w.ready:
		return b, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, q := range p.queue {
		if q == w {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			p.waiting.Add(-1)
			p.serve() // the next one may want less than we did
			return nil, fmt.Errorf("wait for a buffer of %d bytes: %w", n, ctx.Err())
		}
	}
	return <-w.ready, nil // served in the meantime
}

// put takes back a buffer without references.
func (p *Pool) put(b *Buffer) {
	size := int64(sizeOf(b.class))
	share, owned := b.share, b.owned
	b.share = nil
	p.idle[b.class].Put(b)
	if share == nil || share.returned(size, owned) {
		p.give(size)
	}
}

// give counts n bytes as free again, and serves who waits for them.
func (p *Pool) give(n int64) {
	p.used.Add(-n)
	if p.waiting.Load() > 0 {
		p.mu.Lock()
		p.serve()
		p.mu.Unlock()
	}
}

// serve gives buffers to the first waiters. Callers hold mu.
func (p *Pool) serve() {
	for len(p.queue) > 0 && p.reserve(p.queue[0].class) {
		w := p.queue[0]
		p.queue = p.queue[1:]
		p.waiting.Add(-1)
		w.ready <- p.take(w.class, w.n)
	}
}

// reserve counts a buffer of the class if it fits.
func (p *Pool) reserve(class int) bool { return p.claim(int64(sizeOf(class))) }

// claim counts n bytes if they fit. It never passes the limit even for an instant: a
// waiter that looked just then would be left waiting.
func (p *Pool) claim(n int64) bool { return grow(&p.used, n, p.limit) }

func (p *Pool) take(class, n int) *Buffer {
	b, ok := p.idle[class].Get().(*Buffer)
	if !ok {
		b = &Buffer{mem: aligned(sizeOf(class)), class: class, pool: p}
	}
	b.n = n
	b.refs.Store(1)
	return b
}

func classOf(n int) int {
	switch {
	case n < 0 || n > MaxBuffer:
		panic(fmt.Sprintf("block: buffer of %d bytes", n))
	case n <= Align:
		return 0
	case n > MaxIO:
		return classes - 1
	}
	return bits.Len(uint(n-1)) - 12
}

func sizeOf(class int) int {
	if class == classes-1 {
		return MaxBuffer
	}
	return Align << class
}

// aligned allocates n bytes at a multiple of Align. The runtime's size classes
// are aligned as they are; that is its habit and not its promise.
func aligned(n int) []byte {
	mem := make([]byte, n)
	if uintptr(unsafe.Pointer(&mem[0]))%Align == 0 {
		return mem
	}
	mem = make([]byte, n+Align)
	off := int(-uintptr(unsafe.Pointer(&mem[0])) & (Align - 1))
	return mem[off : off+n : off+n]
}
