// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// OS is a directory of the machine's file system.
type OS struct{ root string }

// NewOS returns the tree below the directory root, which must exist.
func NewOS(root string) *OS { return &OS{root: root} }

// Path returns where name lies for the operating system. An absolute name stands for
// itself: a device is below nobody's directory.
func (o *OS) Path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(o.root, filepath.FromSlash(name))
}

// Open implements FS.
func (o *OS) Open(name string, flags Flag) (File, error) {
	path := o.Path(name)
	if isDevice(path) {
		return openDevice(path, flags)
	}
	mode := os.O_RDWR
	if flags&ReadOnly != 0 {
		mode = os.O_RDONLY
	}
	if flags&Create != 0 {
		mode |= os.O_CREATE
	}
	if flags&Exclusive != 0 {
		mode |= os.O_EXCL
	}
	f, direct, err := openDirect(path, mode, flags&Direct != 0)
	if err != nil {
		return nil, err
	}
	if flags&Lock != 0 {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s (is another process using it?): %w", path, err)
		}
	}
	return &osFile{f: f, strict: flags&Direct != 0, direct: direct}, nil
}

// openDirect opens path with O_DIRECT if asked to, and without where the file
// system refuses it (tmpfs before Linux 6.6, some network file systems).
func openDirect(path string, mode int, direct bool) (*os.File, bool, error) {
	if direct {
		f, err := os.OpenFile(path, mode|unix.O_DIRECT, 0o600)
		if err == nil || !errors.Is(err, unix.EINVAL) {
			return f, true, err
		}
		// The refused open may have made the file already.
		mode &^= os.O_EXCL
	}
	f, err := os.OpenFile(path, mode, 0o600)
	return f, false, err
}

// Remove implements FS.
func (o *OS) Remove(name string) error { return os.Remove(o.Path(name)) }

// Rename implements FS.
func (o *OS) Rename(from, to string) error {
	if filepath.Dir(from) != filepath.Dir(to) {
		return fmt.Errorf("rename %s to %s: not in one directory", from, to)
	}
	return os.Rename(o.Path(from), o.Path(to))
}

// MkdirAll implements FS.
func (o *OS) MkdirAll(dir string) error {
	if err := os.MkdirAll(o.Path(dir), 0o700); err != nil {
		return err
	}
	for d := filepath.Clean(dir); d != "." && d != string(filepath.Separator); {
		d = filepath.Dir(d)
		if err := o.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// List implements FS.
func (o *OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(o.Path(dir))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// SyncDir implements FS.
func (o *OS) SyncDir(dir string) error {
	f, err := os.Open(o.Path(dir))
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

type osFile struct {
	f      *os.File
	strict bool // opened as Direct
	direct bool // and the file system took it
	queued directIO
}

func (f *osFile) ReadAt(b []byte, off int64) (int, error) {
	if f.strict {
		if err := checkDirect(f.f.Name(), b, off); err != nil {
			return 0, err
		}
	}
	if f.direct && f.queued.call(iocbRead, f.f, b, off) {
		return len(b), nil
	}
	return f.f.ReadAt(b, off)
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	if f.strict {
		if err := checkDirect(f.f.Name(), b, off); err != nil {
			return 0, err
		}
	}
	if f.direct && f.queued.call(iocbWrite, f.f, b, off) {
		return len(b), nil
	}
	return f.f.WriteAt(b, off)
}

func (f *osFile) Close() error {
	f.queued.close()
	return f.f.Close()
}

// Sync implements File. EINTR is the one failure after which trying again is
// sound: the call did nothing.
func (f *osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "fdatasync", Path: f.f.Name(), Err: err}
		}
	}
}

func (f *osFile) Allocate(size int64) error {
	st, err := f.f.Stat()
	if err != nil {
		return err
	}
	if err := f.fits(size - st.Size()); err != nil {
		return err
	}
	for {
		err := unix.Fallocate(int(f.f.Fd()), 0, 0, size)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			err = f.extend(size)
		}
		if err == nil {
			return nil
		}
		err = &fs.PathError{Op: "fallocate", Path: f.f.Name(), Err: err}
		if st.Mode().IsRegular() {
			// What was allocated before the disk was full would stay and fill it for all.
			err = errors.Join(err, f.f.Truncate(st.Size()))
		}
		return err
	}
}

// fits refuses what the file system has no room for, before any of it is taken.
func (f *osFile) fits(more int64) error {
	var s unix.Statfs_t
	if more <= 0 || unix.Fstatfs(int(f.f.Fd()), &s) != nil {
		return nil
	}
	if free := int64(s.Bavail) * s.Bsize; free >= 0 && more > free {
		return &fs.PathError{Op: "fallocate", Path: f.f.Name(), Err: fmt.Errorf("%w: %d MiB more are wanted, %d MiB are free", unix.ENOSPC, more>>20, free>>20)}
	}
	return nil
}

// extend writes zeros beyond the end, for file systems that can't reserve blocks.
func (f *osFile) extend(size int64) error {
	end, err := f.Size()
	if err != nil {
		return err
	}
	zeros := NewBuffer(1 << 20)
	for end < size {
		n := min(size-end, int64(len(zeros)))
		if f.strict {
			n = (n + Align - 1) / Align * Align
		}
		if _, err := f.WriteAt(zeros[:n], end); err != nil {
			return err
		}
		end += n
	}
	return nil
}

func (f *osFile) Size() (int64, error) {
	st, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
