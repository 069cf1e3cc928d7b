// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"io"
	"unsafe"
)

// Align is what offset, length and address of an access to a Direct file must be
// multiples of.
const Align = 4096

// Flag says how Open opens a file. Files are opened for reading and writing
// unless ReadOnly is given.
type Flag uint8

// The flags.
const (
	// ReadOnly refuses writes.
	ReadOnly Flag = 1 << iota
	// Create makes the file, empty, if it isn't there.
	Create
	// Exclusive, with Create, refuses a file that is there.
	Exclusive
	// Direct asks for I/O past the page cache; see the package comment.
	Direct
	// Lock takes the file for this process alone, until it is closed.
	Lock
)

// FS is a directory tree. Names are relative to its root, with slashes. On a real file
// system an absolute name stands for itself, and may lead to a block device.
type FS interface {
	// Open opens a file.
	Open(name string, flags Flag) (File, error)
	// Remove takes a file's name away.
	Remove(name string) error
	// Rename moves a file within its directory, replacing what had the new name.
	Rename(from, to string) error
	// MkdirAll makes a directory and those above it, durably.
	MkdirAll(dir string) error
	// List returns the names of the files in dir, sorted.
	List(dir string) ([]string, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes everything written, and the size, durable (fdatasync).
	Sync() error
	// Allocate makes the file at least size bytes long and its blocks its own, so
	// that a later write there doesn't find the disk full. New bytes read as zeros. If it
	// fails the file is as it was; nobody may write beyond the end meanwhile.
	Allocate(size int64) error
	// Size returns the file's length.
	Size() (int64, error)
}

// Aligned reports whether b starts and ends where a Direct file wants it.
func Aligned(b []byte) bool {
	return len(b)%Align == 0 && (len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%Align == 0)
}

// NewBuffer returns n zero bytes that start at a multiple of Align. It is for
// buffers that are made once; those of the write path come from a block.Pool.
func NewBuffer(n int) []byte {
	b := make([]byte, n+Align)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) % Align)
	return b[skip : skip+n : skip+n]
}

func checkDirect(name string, b []byte, off int64) error {
	if off%Align == 0 && Aligned(b) {
		return nil
	}
	return fmt.Errorf("direct access to %s: %d bytes at %d are not aligned to %d", name, len(b), off, Align)
}
