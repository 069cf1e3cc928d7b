// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"io"
	"io/fs"
)

// memSector is what a disk writes whole or not at all, if it keeps its promise.
const memSector = 512

// memNode is a file's content: now, on the disk, and which sectors differ.
type memNode struct {
	now     content
	durable content // its chunks are nobody's own
	dirty   map[int64]struct{}
	locked  bool
}

type memFile struct {
	m      *Mem
	n      *memNode
	name   string
	flags  Flag
	closed bool
}

func (f *memFile) check(verb string) error {
	if f.closed {
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrClosed}
	}
	if verb != "read" && f.flags&ReadOnly != 0 {
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrPermission}
	}
	return nil
}

func (f *memFile) access(verb string, b []byte, off int64) error {
	if err := f.check(verb); err != nil {
		return err
	}
	if off < 0 {
		return &fs.PathError{Op: verb, Path: f.name, Err: fs.ErrInvalid}
	}
	if f.flags&Direct != 0 {
		return checkDirect(f.name, b, off)
	}
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.access("read", b, off); err != nil {
		return 0, err
	}
	if off >= f.n.now.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), f.n.now.size-off))
	f.n.now.read(b[:n], off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.m.before(Op{Verb: OpWrite, Name: f.name, Offset: off, Length: len(b)})
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.access("write", b, off); err != nil {
		return 0, err
	}
	f.n.now.grow(off + int64(len(b)))
	f.n.now.write(b, off, f.n)
	if len(b) == 0 {
		return 0, nil
	}
	for s := off / memSector; s <= (off+int64(len(b))-1)/memSector; s++ {
		f.n.dirty[s] = struct{}{}
	}
	return len(b), nil
}

func (f *memFile) Sync() error {
	f.m.before(Op{Verb: OpSync, Name: f.name})
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("sync"); err != nil {
		return err
	}
	if f.m.forgetful {
		return nil
	}
	n := f.n
	if before := n.durable.size; before < n.now.size {
		n.durable.grow(n.now.size)
		n.now.share(int(before / chunkSize))
		copy(n.durable.chunks[before/chunkSize:], n.now.chunks[before/chunkSize:])
	}
	for s := range n.dirty {
		k := n.now.chunks[s*memSector/chunkSize]
		k.own = nil
		n.durable.chunks[s*memSector/chunkSize] = k
	}
	clear(n.dirty)
	return nil
}

func (f *memFile) Allocate(size int64) error {
	f.m.before(Op{Verb: OpAllocate, Name: f.name})
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("allocate"); err != nil {
		return err
	}
	f.n.now.grow(size)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.n.now.size, nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("close"); err != nil && f.closed {
		return err
	}
	f.closed = true
	if f.flags&Lock != 0 {
		f.n.locked = false
	}
	return nil
}
