// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/perdure/perdure/internal/array"
)

// BlankSize is how much of a device's beginning must be zeros before it is written to
// for the first time.
const BlankSize = 1 << 20

// CheckBlank refuses a device or file, open as Direct, that holds something already:
// a wrong name in a configuration must not cost anybody's data.
func CheckBlank(f File, name string) error {
	b, err := beginning(f)
	if err != nil {
		return fmt.Errorf("look whether %s is blank: %w", name, err)
	}
	if allZero(b) {
		return nil
	}
	return foreign(name, b)
}

func beginning(f File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := NewBuffer(int(min(size, BlankSize) / Align * Align))
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return b, nil
}

// allZero compares b with itself, one byte on.
func allZero(b []byte) bool { return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }

// foreign is the error about a device that begins with b.
func foreign(name string, b []byte) error {
	what := recognise(b)
	switch {
	case what != "":
	case bytes.HasPrefix(b, []byte(tableMagic)):
		what = "the journal of an array"
	default:
		what = fmt.Sprintf("something unknown, from byte %d on", len(b)-len(bytes.TrimLeft(b, "\x00")))
	}
	return NotBlank(name, what)
}

// NotBlank is the error about a device that holds something else than what is asked
// of it.
func NotBlank(name, what string) error {
	return array.Errorf(array.Conflict, "%s is not blank: it holds %s, which is not overwritten. If nobody needs that, clear it: "+
		"'wipefs --all %s', then 'blkdiscard --zeroout %s' (or dd if=/dev/zero over its first MiB); a file is made anew with 'truncate'", name, what, name, name)
}

// recognise names what begins with b, empty if it is unknown. It never takes a table
// of files for something else.
func recognise(b []byte) string {
	for _, s := range []struct {
		at   int
		mark string
		what string
	}{
		{0, "XFSB", "an XFS file system"},
		{0, "LUKS\xba\xbe", "a LUKS volume"},
		{512, "LABELONE", "an LVM physical volume"},
		{512, "EFI PART", "a GPT partition table"},
		{4096, "EFI PART", "a GPT partition table"},
		{1080, "\x53\xef", "an ext2, ext3 or ext4 file system"},
		{65600, "_BHRfS_M", "a btrfs file system"},
		{4086, "SWAPSPACE2", "swap space"},
		{4096, "\xfc\x4e\x2b\xa9", "a part of a Linux RAID"},
		{510, "\x55\xaa", "an MBR partition table or a FAT or NTFS file system"},
	} {
		if len(b) >= s.at+len(s.mark) && string(b[s.at:s.at+len(s.mark)]) == s.mark {
			return s.what
		}
	}
	return ""
}
