// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Disk names a file system of the machine, as long as it is mounted.
type Disk uint64

// Free returns how many bytes the file system of a file could still give it, and which one
// that is, as far as that is known: a device has what it has.
func Free(f File) (bytes int64, of Disk, known bool) {
	if r, ok := f.(interface{ Free() (int64, Disk, bool) }); ok {
		return r.Free()
	}
	return 0, 0, false
}

// Free implements the function of that name.
func (f *osFile) Free() (int64, Disk, bool) {
	st, err := f.f.Stat()
	var s unix.Statfs_t
	if err != nil || !st.Mode().IsRegular() || unix.Fstatfs(int(f.f.Fd()), &s) != nil {
		return 0, 0, false
	}
	at, ok := st.Sys().(*syscall.Stat_t)
	free := int64(s.Bavail) * s.Bsize
	if !ok || free < 0 {
		return 0, 0, false
	}
	return free, Disk(at.Dev), true
}
