// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"math"
)

// partFile is an open file of a Partitioned. A Direct one reads and writes the device
// with the caller's buffer; others go through a buffer of whole blocks.
type partFile struct {
	p      *Partitioned
	n      *partNode
	name   string
	flags  Flag
	closed bool
}

// check finds out whether an access may be made. The caller holds p.mu.
func (f *partFile) check(verb string, b []byte, off int64) error {
	switch {
	case f.closed:
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrClosed}
	case verb != "read" && f.flags&ReadOnly != 0:
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrPermission}
	case off < 0 || off > math.MaxInt64-int64(len(b))-Align:
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrInvalid}
	case f.flags&Direct != 0:
		return checkDirect(f.name, b, off)
	}
	return nil
}

func (f *partFile) ReadAt(b []byte, off int64) (int, error) {
	f.p.mu.Lock()
	err := f.check("read", b, off)
	place, n := f.n.off+off, int(max(0, min(int64(len(b)), f.n.size-off)))
	f.p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if n > 0 {
		if err := f.read(b, n, place); err != nil {
			return 0, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// read fills b[:n] from a place of the device, within the file's room.
func (f *partFile) read(b []byte, n int, place int64) error {
	if f.flags&Direct != 0 { // then b has the room of whole blocks
		_, err := f.p.dev.ReadAt(b[:(n+Align-1)/Align*Align], place)
		return err
	}
	from, to := span(place, n)
	whole := NewBuffer(int(to - from))
	if _, err := f.p.dev.ReadAt(whole, from); err != nil {
		return err
	}
	copy(b[:n], whole[place-from:])
	return nil
}

// span returns the whole blocks around n bytes at a place.
func span(place int64, n int) (from, to int64) {
	return place / Align * Align, (place + int64(n) + Align - 1) / Align * Align
}

func (f *partFile) WriteAt(b []byte, off int64) (int, error) {
	f.p.mu.Lock()
	err := f.check("write", b, off)
	if err == nil && len(b) > 0 {
		err = f.p.grow(f.n, off+int64(len(b)))
	}
	place := f.n.off + off
	if err != nil || len(b) == 0 {
		f.p.mu.Unlock()
		return 0, err
	}
	if f.flags&Direct == 0 {
		defer f.p.mu.Unlock() // no other write may come between the read and the write
		return f.writeWhole(b, place)
	}
	f.p.mu.Unlock()
	return f.p.dev.WriteAt(b, place)
}

// writeWhole writes the blocks that b lies in. The caller holds p.mu.
func (f *partFile) writeWhole(b []byte, place int64) (int, error) {
	from, to := span(place, len(b))
	whole := NewBuffer(int(to - from))
	if _, err := f.p.dev.ReadAt(whole, from); err != nil {
		return 0, err
	}
	copy(whole[place-from:], b)
	if _, err := f.p.dev.WriteAt(whole, from); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Sync flushes the device, and writes the table if the file has grown.
func (f *partFile) Sync() error {
	f.p.mu.Lock()
	if err := f.check("sync", nil, 0); err != nil {
		f.p.mu.Unlock()
		return err
	}
	if f.n.size != f.n.synced && f.n.named {
		defer f.p.mu.Unlock()
		return f.p.save()
	}
	f.p.mu.Unlock()
	return f.p.dev.Sync()
}

func (f *partFile) Allocate(size int64) error {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	if err := f.check("allocate", nil, 0); err != nil {
		return err
	}
	if size > f.p.size {
		return f.p.noRoom(size)
	}
	return f.p.grow(f.n, size)
}

func (f *partFile) Size() (int64, error) {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	return f.n.size, nil
}

func (f *partFile) Close() error {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	f.n.opened--
	if f.flags&Lock != 0 {
		f.n.locked = false
	}
	f.p.settle(f.n)
	return nil
}
