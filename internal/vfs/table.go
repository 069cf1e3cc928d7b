// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// A table says where on a device each file lies. Two copies stand at the device's
// beginning; a change is written to the one and flushed, then to the other, so that
// at any moment one is whole.
//
// The first tableHead bytes of a copy have, in every version of the format, the same
// magic, version and checksum. An entry's last 8 bytes are zeros: what other formats
// mark themselves with is then never found in a table (see recognise).
const (
	tableMagic   = "PDRTABLE"
	tableVersion = 1
	tableRoom    = 512 << 10 // of each copy
	tableHead    = 64
	tableEntry   = 64
	nameRoom     = 32
	maxFiles     = 6000
	// firstExtent is where the files' bytes begin.
	firstExtent = 2 * tableRoom
)

type table struct {
	id       [16]byte
	sequence uint64 // rises with each change
	files    []tableFile
}

// tableFile is one file: room bytes at off are its own, size of them its content.
type tableFile struct {
	name            string
	off, room, size int64
}

// encode returns a copy, a multiple of Align long.
func (t *table) encode() []byte {
	n := tableHead + len(t.files)*tableEntry
	b := NewBuffer((n + Align - 1) / Align * Align)
	copy(b, tableMagic)
	binary.LittleEndian.PutUint32(b[8:], tableVersion)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(t.files)))
	copy(b[16:32], t.id[:])
	binary.LittleEndian.PutUint64(b[32:], t.sequence)
	for i, f := range t.files {
		e := b[tableHead+i*tableEntry:]
		copy(e[:nameRoom], f.name)
		binary.LittleEndian.PutUint64(e[32:], uint64(f.off))
		binary.LittleEndian.PutUint64(e[40:], uint64(f.room))
		binary.LittleEndian.PutUint64(e[48:], uint64(f.size))
	}
	binary.LittleEndian.PutUint32(b[56:], block.Checksum(b[tableHead:n]))
	binary.LittleEndian.PutUint32(b[60:], block.Checksum(b[:60]))
	return b
}

// Why a copy can't be used. A torn one was being written when the power went, an
// unwritten one was never whole; both are no reason to refuse the other one.
var (
	errTornTable      = errors.New("the table of files fails its checksum")
	errUnwrittenTable = errors.New("there is no table of files")
	errNoTable        = errors.New("this is no table of files")
)

// decodeTable reads a copy that was found on a device of size bytes.
func decodeTable(b []byte, size int64) (*table, error) {
	switch {
	case len(b) < tableHead:
		return nil, errNoTable
	case string(b[:len(tableMagic)]) != tableMagic:
		if unwritten(b) {
			return nil, errUnwrittenTable
		}
		return nil, errNoTable
	case binary.LittleEndian.Uint32(b[60:]) != block.Checksum(b[:60]):
		return nil, errTornTable
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != tableVersion {
		return nil, array.Errorf(array.Invalid, "the table of files has format version %d, this program knows %d", v, tableVersion)
	}
	count := int64(binary.LittleEndian.Uint32(b[12:]))
	if count > maxFiles || tableHead+count*tableEntry > int64(len(b)) {
		return nil, array.Errorf(array.Medium, "the table of files has %d files, more than fit", count)
	}
	entries := b[tableHead : tableHead+count*tableEntry]
	if binary.LittleEndian.Uint32(b[56:]) != block.Checksum(entries) {
		return nil, errTornTable
	}
	t := &table{id: [16]byte(b[16:32]), sequence: binary.LittleEndian.Uint64(b[32:])}
	for e := range slices.Chunk(entries, tableEntry) {
		t.files = append(t.files, tableFile{
			name: string(bytes.TrimRight(e[:nameRoom], "\x00")),
			off:  int64(binary.LittleEndian.Uint64(e[32:])), room: int64(binary.LittleEndian.Uint64(e[40:])), size: int64(binary.LittleEndian.Uint64(e[48:])),
		})
	}
	return t, t.check(size)
}

// unwritten reports whether b is as it was before the first table was written, or has
// the first bytes of that.
func unwritten(b []byte) bool {
	begun := bytes.TrimRight(b[:len(tableMagic)], "\x00")
	return strings.HasPrefix(tableMagic, string(begun)) && allZero(b[len(begun):])
}

// unmade reports whether nothing but a piece of the first table, which is empty, was
// ever written to a device that begins with b.
func unmade(b []byte) bool {
	return allZero(b[tableHead:]) && (unwritten(b) || string(b[:len(tableMagic)]) == tableMagic)
}

// check refuses a table whose files can't be: its checksum only says that it is what
// somebody wrote.
func (t *table) check(size int64) error {
	names := map[string]bool{}
	for _, f := range t.files {
		switch {
		case !validFile(f.name) || names[f.name]:
			return array.Errorf(array.Medium, "the table of files has a bad name, or one twice: %q", f.name)
		case f.off < 0 || f.room < 0 || f.size < 0 || f.size > f.room || f.off%Align != 0 || f.room%Align != 0 || (f.room > 0 && f.off < firstExtent):
			return array.Errorf(array.Medium, "the table of files has file %s of %d bytes in %d at %d", f.name, f.size, f.room, f.off)
		case f.off > size || f.room > size-f.off:
			return array.Errorf(array.Medium, "file %s ends at byte %d, but there are only %d: it was cut short, or this is a copy of a part", f.name, uint64(f.off)+uint64(f.room), size)
		}
		names[f.name] = true
	}
	byPlace := slices.Clone(t.files)
	slices.SortFunc(byPlace, func(a, b tableFile) int { return int(min(max(a.off-b.off, -1), 1)) })
	end := int64(0)
	for _, f := range byPlace {
		if f.room == 0 {
			continue
		}
		if f.off < end {
			return array.Errorf(array.Medium, "the table of files has file %s at %d, where another one is", f.name, f.off)
		}
		end = f.off + f.room
	}
	return nil
}

// validFile says what may be a file's name: there are no directories. Capitals would
// let a name look like another format's mark.
func validFile(name string) bool {
	odd := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_", r) }
	return strings.Trim(name, ".") != "" && len(name) <= nameRoom && !strings.ContainsFunc(name, odd)
}

// readTable finds the table at the beginning b of a device. The second result says
// which copies must be written anew, the table is nil if the device is blank.
func readTable(b []byte, name string, size int64) (*table, [2]bool, error) {
	var stale [2]bool
	if what := recognise(b); what != "" { // though a piece of a table may be left
		return nil, stale, NotBlank(name, what)
	}
	var best *table
	var found [2]*table
	var why [2]error
	for i := range found {
		found[i], why[i] = decodeTable(b[i*tableRoom:(i+1)*tableRoom], size)
		switch {
		case errors.Is(why[i], errNoTable):
			return nil, stale, foreign(name, b)
		case why[i] == nil && (best == nil || found[i].sequence > best.sequence):
			best = found[i]
		case why[i] != nil && !errors.Is(why[i], errTornTable) && !errors.Is(why[i], errUnwrittenTable):
			return nil, stale, fmt.Errorf("%s: %w", name, why[i])
		}
	}
	if best == nil {
		if unmade(b) {
			return nil, [2]bool{true, true}, nil
		}
		return nil, stale, array.Errorf(array.Medium, "%s: both copies of the table of files fail their checksums", name)
	}
	for i := range found {
		stale[i] = why[i] != nil || found[i].sequence != best.sequence
		if why[i] == nil && found[i].id != best.id {
			return nil, stale, array.Errorf(array.Medium, "%s: the two copies of the table of files are of different journals", name)
		}
	}
	return best, stale, nil
}
