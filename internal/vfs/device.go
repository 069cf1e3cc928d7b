// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
)

// Device is what lies at a path that pages or a journal are to be on: a block device,
// or a plain file in its place.
type Device struct {
	// ID is the same for two paths exactly if they lead to the same device or file.
	ID    DeviceID
	Block bool
	Size  int64
}

// DeviceID tells devices and files apart, whatever their paths.
type DeviceID struct {
	block    bool
	dev, ino uint64
}

// Examine says what lies at a path, without taking it for this process.
func Examine(path string) (Device, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Device{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return Device{ID: DeviceID{false, uint64(st.Dev), st.Ino}, Size: st.Size}, nil
	case unix.S_IFBLK:
	default:
		return Device{}, array.Errorf(array.Invalid, "%s is neither a block device nor a plain file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Device{}, err
	}
	defer f.Close()
	size, err := deviceSize(f)
	if err == nil {
		err = checkSector(f)
	}
	return Device{ID: DeviceID{block: true, dev: uint64(st.Rdev)}, Block: true, Size: size}, err
}

func isDevice(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0
}

// deviceFile is a block device: its size is given.
type deviceFile struct{ osFile }

// openDevice opens a block device. To write to it, or with Lock, is to have it alone:
// the kernel then refuses it to other daemons, and to us while it is mounted.
func openDevice(path string, flags Flag) (File, error) {
	if flags&Create != 0 && flags&Exclusive != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
	}
	mode := os.O_RDWR
	if flags&ReadOnly != 0 {
		mode = os.O_RDONLY
	}
	if flags&(ReadOnly|Lock) != ReadOnly {
		mode |= os.O_EXCL
	}
	if flags&Direct != 0 {
		mode |= unix.O_DIRECT
	}
	f, err := os.OpenFile(path, mode, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, &array.Error{Kind: array.Conflict, Err: err, Text: fmt.Sprintf("device %s is in use: it, or a partition of it, is mounted, is part of a RAID or a volume group, or another process has it open", path)}
	}
	if err != nil {
		return nil, err
	}
	if err := checkSector(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	direct := flags&Direct != 0
	return &deviceFile{osFile{f: f, strict: direct, direct: direct}}, nil
}

// checkSector refuses a device that can't write as little as a Direct file may.
func checkSector(f *os.File) error {
	n, err := unix.IoctlGetUint32(int(f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return &fs.PathError{Op: "ask for the block size of", Path: f.Name(), Err: err}
	}
	return sectorFits(f.Name(), n)
}

func sectorFits(name string, n uint32) error {
	if n == 0 || n > Align || Align%n != 0 {
		return array.Errorf(array.Invalid, "device %s has logical blocks of %d bytes: want at most %d", name, n, Align)
	}
	return nil
}

func deviceSize(f *os.File) (int64, error) {
	var size uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, &fs.PathError{Op: "ask for the size of", Path: f.Name(), Err: errno}
	}
	return int64(size), nil
}

func (f *deviceFile) Size() (int64, error) { return deviceSize(f.f) }

// Allocate has nothing to do: a device's blocks are its own.
func (f *deviceFile) Allocate(size int64) error {
	have, err := f.Size()
	if err != nil {
		return err
	}
	if size > have {
		return fmt.Errorf("%d bytes of device %s, which has %d: %w", size, f.f.Name(), have, unix.ENOSPC)
	}
	return nil
}
