// SPDX-License-Identifier: Apache-2.0

package vfs

import "golang.org/x/sys/unix"

// Free returns how many bytes the file system of a file could still give it, as far as
// that is known: a device has what it has.
func Free(f File) (bytes int64, known bool) {
	if r, ok := f.(interface{ Free() (int64, bool) }); ok {
		return r.Free()
	}
	return 0, false
}

// Free implements the function of that name.
func (f *osFile) Free() (int64, bool) {
	st, err := f.f.Stat()
	var s unix.Statfs_t
	if err != nil || !st.Mode().IsRegular() || unix.Fstatfs(int(f.f.Fd()), &s) != nil {
		return 0, false
	}
	free := int64(s.Bavail) * s.Bsize
	return free, free >= 0
}
