// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawReader reads a socket without telling Go's scheduler of each system call: one that
// never waits takes some microseconds, and would have a second thread look after this one.
// Where there is nothing to read, the goroutine waits as any other.
type rawReader struct {
	rc  syscall.RawConn
	p   []byte
	n   int
	err error
	try func(fd uintptr) bool
}

func newRawReader(rc syscall.RawConn) *rawReader {
	r := &rawReader{rc: rc}
	r.try = r.receive // once, and not for every read
	return r
}

// receive reports false if there was nothing to read.
func (r *rawReader) receive(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&r.p[0])), uintptr(len(r.p)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			r.n, r.err = int(n), nil
			if n == 0 {
				r.err = io.EOF
			}
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			r.n, r.err = 0, fmt.Errorf("read from the host: %w", errno)
			return true
		}
	}
}

// Read implements io.Reader. It may be used from one goroutine at a time.
func (r *rawReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.p = p
	err := r.rc.Read(r.try)
	r.p = nil
	if err != nil {
		return 0, err // the deadline, or closed
	}
	return r.n, r.err
}

// rawWriter sends what a socket takes at once, in the same way.
type rawWriter struct {
	rc    syscall.RawConn
	iov   []unix.Iovec
	n     int
	errno syscall.Errno
	try   func(fd uintptr)
}

func newRawWriter(rc syscall.RawConn) *rawWriter {
	w := &rawWriter{rc: rc}
	w.try = w.transmit
	return w
}

func (w *rawWriter) transmit(fd uintptr) {
	m := unix.Msghdr{Iov: &w.iov[0]}
	m.SetIovlen(len(w.iov))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&m)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	w.n, w.errno = int(n), errno
}

// send returns how many bytes of the parts the socket took. An error is one of what was
// not taken: whoever waits for the socket meets it again.
func (w *rawWriter) send(parts [][]byte) (int, error) {
	w.iov = w.iov[:0]
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		v := unix.Iovec{Base: &p[0]}
		v.SetLen(len(p))
		w.iov = append(w.iov, v)
	}
	if len(w.iov) == 0 {
		return 0, nil
	}
	w.n, w.errno = 0, 0
	err := w.rc.Control(w.try)
	clear(w.iov)
	if err != nil {
		return 0, err
	}
	if w.errno != 0 {
		return 0, errors.Join(w.errno)
	}
	return w.n, nil
}
