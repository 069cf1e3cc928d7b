// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aioDepth is how many reads and writes of a file the kernel is given at once. More are
// made as if there were no queue.
const aioDepth = 128

// aioQueue reads and writes without a thread for each. A read that blocks keeps one of the
// runtime's processors from all other goroutines until the runtime notices; with as
// few processors as a small machine has, not many more reads than those would be on
// their way at once.
//
// The kernel tells the end of them on an eventfd, for which the runtime waits as it does
// for sockets.
type aioQueue struct {
	ctx   uintptr
	event *os.File
	efd   int32
	free  chan *aioCall
	calls []aioCall
	ended chan struct{} // closed when the reaper has ended
}

// aioCall is a read or write under way. The kernel names it by its index.
type aioCall struct {
	cb    iocb
	ended chan int64 // what the kernel returned
}

// iocb and ioEvent are the kernel's, see io_submit(2).
type iocb struct {
	data          uint64
	_             uint64 // key and flags of the call: none
	opcode        uint16
	_             uint16 // priority
	fd            uint32
	buf, n        uint64
	offset        int64
	_             uint64
	flags, eventf uint32
}

type ioEvent struct {
	data, obj uint64
	res, res2 int64
}

// aloneFor is after how many calls that found no other one under way calls are taken to
// come one at a time again.
const aloneFor = 64

const (
	iocbRead     = 0 // IOCB_CMD_PREAD
	iocbWrite    = 1 // IOCB_CMD_PWRITE
	iocbUseEvent = 1 // IOCB_FLAG_RESFD
)

// newAIOQueue fails where the kernel has no such queues, or no more of them.
func newAIOQueue() (*aioQueue, error) {
	q := &aioQueue{free: make(chan *aioCall, aioDepth), calls: make([]aioCall, aioDepth), ended: make(chan struct{})}
	efd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	q.event, q.efd = os.NewFile(uintptr(efd), "eventfd"), int32(efd)
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, aioDepth, uintptr(unsafe.Pointer(&q.ctx)), 0); e != 0 {
		_ = q.event.Close()
		return nil, fmt.Errorf("io_setup: %w", e)
	}
	for i := range q.calls {
		r := &q.calls[i]
		r.cb.data, r.ended = uint64(i), make(chan int64, 1)
		q.free <- r
	}
	go q.reap()
	return q, nil
}

// call reads like pread or writes like pwrite, by the opcode, and reports whether that was
// done with all of b. If not, why is found out by doing it as usual.
func (q *aioQueue) call(opcode uint16, fd uintptr, b []byte, off int64) bool {
	var r *aioCall
	select {
	case r = <-q.free:
	default:
		return false
	}
	defer func() { q.free <- r }()
	var pin runtime.Pinner // the kernel uses b after the call
	defer pin.Unpin()
	pin.Pin(&b[0])
	r.cb = iocb{
		data: r.cb.data, opcode: opcode, fd: uint32(fd), buf: uint64(uintptr(unsafe.Pointer(&b[0]))), n: uint64(len(b)), offset: off,
		flags: iocbUseEvent, eventf: uint32(q.efd),
	}
	list := &r.cb
	n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, q.ctx, 1, uintptr(unsafe.Pointer(&list)))
	if e != 0 || n != 1 {
		return false
	}
	return <-r.ended == int64(len(b))
}

// reap hands out what has ended, until the queue is closed.
func (q *aioQueue) reap() {
	defer close(q.ended)
	var count [8]byte
	events := make([]ioEvent, aioDepth)
	for {
		if _, err := q.event.Read(count[:]); err != nil {
			return
		}
		for {
			n, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.ctx, 0, aioDepth, uintptr(unsafe.Pointer(&events[0])), 0, 0)
			if e == unix.EINTR {
				continue
			}
			if e != 0 || n == 0 {
				break
			}
			for _, v := range events[:n] {
				q.calls[v.data].ended <- v.res
			}
		}
	}
}

// close ends the queue. No call is under way any more.
func (q *aioQueue) close() {
	_ = q.event.Close()
	<-q.ended
	_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.ctx, 0, 0)
}

// directIO reads and writes a direct file: calls that come one at a time as usual, which
// takes the least time, and others by a queue, made when the first of them comes.
type directIO struct {
	under atomic.Int32 // calls under way
	crowd atomic.Int32 // how many more may come alone before they count as single
	once  sync.Once
	queue *aioQueue // nil where there is none

	mu     sync.RWMutex // held for reading while the queue is used
	closed bool
}

// call reports whether it did with b what the opcode says. It may refuse anything.
func (d *directIO) call(opcode uint16, f *os.File, b []byte, off int64) bool {
	defer d.under.Add(-1)
	if d.under.Add(1) > 1 {
		d.crowd.Store(aloneFor)
	} else if d.crowd.Add(-1) < 0 {
		d.crowd.Store(0)
		return false
	}
	if len(b) == 0 {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return false
	}
	d.once.Do(func() { d.queue, _ = newAIOQueue() })
	return d.queue != nil && d.queue.call(opcode, f.Fd(), b, off)
}

// close waits for the calls in the queue and ends it.
func (d *directIO) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && d.queue != nil {
		d.queue.close()
	}
	d.closed = true
}
