// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// WriteDurable writes b at off and makes that durable, and nothing else of the file: in
// one call of the kernel where it can, so that the caller's thread sleeps once. After an
// error nothing is known of what the disk has, as after that of a Sync.
func WriteDurable(f File, b []byte, off int64) error {
	if d, ok := f.(*osFile); ok {
		return d.writeDurable(b, off)
	}
	if _, err := f.WriteAt(b, off); err != nil {
		return err
	}
	return f.Sync()
}

func (f *osFile) writeDurable(b []byte, off int64) error {
	if f.strict {
		if err := checkDirect(f.f.Name(), b, off); err != nil {
			return err
		}
	}
	for len(b) > 0 {
		n, err := unix.Pwritev2(int(f.f.Fd()), [][]byte{b}, off, unix.RWF_DSYNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			if _, err := f.f.WriteAt(b, off); err != nil {
				return err
			}
			return f.Sync()
		case err == nil && n == 0:
			err = io.ErrShortWrite
		}
		if err != nil {
			return &fs.PathError{Op: "pwritev2", Path: f.f.Name(), Err: err}
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}
