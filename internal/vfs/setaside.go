// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SetAside gives a file that is there at least size bytes of the disk, so that writing
// them later can't find the disk full. Its content stays; it grows with zeros. Where the
// file system can't, nothing is done.
func SetAside(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("set aside %d bytes: %w", size, err)
	}
	defer f.Close()
	for {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("set aside %d bytes: %w", size, &os.PathError{Op: "fallocate", Path: path, Err: err})
	}
	return nil
}
