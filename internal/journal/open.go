// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

const (
	formatName    = "format"
	formatMagic   = 0x464A4450 // "PDJF"
	formatVersion = 1
	formatSize    = 48
	segmentPrefix = "segment-"
)

// format is what the directory says of itself. It is written before the first
// segment is made and once more when the journal is ready, so that a journal whose
// making was cut off is never taken for one that lost its records.
type format struct {
	id          [16]byte
	segmentSize int64
	ready       bool
}

func (f format) encode() []byte {
	b := make([]byte, formatSize)
	binary.LittleEndian.PutUint32(b[0:], formatMagic)
	binary.LittleEndian.PutUint32(b[4:], formatVersion)
	copy(b[8:24], f.id[:])
	binary.LittleEndian.PutUint64(b[24:], uint64(f.segmentSize))
	if f.ready {
		b[32] = 1
	}
	binary.LittleEndian.PutUint32(b[44:], block.Checksum(b[:44]))
	return b
}

func decodeFormat(b []byte) (format, error) {
	var f format
	switch {
	case len(b) != formatSize || binary.LittleEndian.Uint32(b) != formatMagic:
		return f, fmt.Errorf("not a journal's format file")
	case binary.LittleEndian.Uint32(b[44:]) != block.Checksum(b[:44]):
		return f, fmt.Errorf("format file fails its checksum")
	case binary.LittleEndian.Uint32(b[4:]) != formatVersion:
		return f, fmt.Errorf("journal has format version %d, this program knows %d", binary.LittleEndian.Uint32(b[4:]), formatVersion)
	}
	copy(f.id[:], b[8:24])
	f.segmentSize = int64(binary.LittleEndian.Uint64(b[24:]))
	f.ready = b[32] == 1
	return f, nil
}

// Open opens the journal in dir, which it makes if there is none.
func Open(files vfs.FS, dir string, o Options) (*Journal, error) {
	j := &Journal{
		items: &sync.Pool{New: func() any { return new(item) }},
		fs:    files, dir: dir, o: o,
		stopped: make(chan struct{}), filled: make(chan struct{}),
		groups: map[array.GroupID]*group{}, kept: map[array.GroupID]*group{}, readers: map[uint64]struct{}{},
	}
	j.wake.L = &j.mu
	if err := j.open(); err != nil {
		for _, s := range j.slots {
			_ = s.file.Close()
		}
		if j.lock != nil {
			_ = j.lock.Close()
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = &array.Error{Kind: array.Full, Text: fmt.Sprintf("no room for a journal of %d bytes", o.Limit), Err: err}
		}
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	go j.commit()
	go j.prefill()
	return j, nil
}

func (j *Journal) open() error {
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return err
	}
	lock, err := j.fs.Open(path.Join(j.dir, "lock"), vfs.Create|vfs.Lock)
	if err != nil {
		return err
	}
	j.lock = lock
	f, err := j.readFormat()
	if err != nil {
		return err
	}
	if f.segmentSize != 0 {
		j.o.SegmentSize = f.segmentSize
	}
	if err := j.o.complete(); err != nil {
		return err
	}
	j.staging = vfs.NewBuffer(int(j.o.flushMax()) + segmentHeader)
	if !f.ready {
		return j.create()
	}
	j.id = f.id
	if err := j.openSegments(); err != nil {
		return err
	}
	return j.recover()
}

// readFormat returns the zero format if the directory has no journal.
func (j *Journal) readFormat() (format, error) {
	names, err := j.fs.List(j.dir)
	if err != nil {
		return format{}, err
	}
	file, err := j.fs.Open(path.Join(j.dir, formatName), vfs.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, segmentPrefix) }) {
			return format{}, fmt.Errorf("there are segments but no file %q: restore it, or move the segments away", formatName)
		}
		return format{}, nil
	}
	if err != nil {
		return format{}, err
	}
	b := make([]byte, formatSize)
	n, err := file.ReadAt(b, 0)
	_ = file.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return format{}, err
	}
	return decodeFormat(b[:n])
}

func (j *Journal) writeFormat(f format) error {
	tmp, name := path.Join(j.dir, formatName+".new"), path.Join(j.dir, formatName)
	file, err := j.fs.Open(tmp, vfs.Create)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(f.encode(), 0)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := j.fs.Rename(tmp, name); err != nil {
		return err
	}
	return j.fs.SyncDir(j.dir)
}

// create makes a new journal.
func (j *Journal) create() error {
	f := format{segmentSize: j.o.SegmentSize}
	if _, err := rand.Read(f.id[:]); err != nil {
		return err
	}
	if err := j.writeFormat(f); err != nil {
		return err
	}
	j.id = f.id
	if err := j.openSegments(); err != nil {
		return err
	}
	for _, s := range j.slots {
		s.state, s.high = free, map[array.GroupID]array.Place{}
	}
	j.free, j.next = len(j.slots), 1
	if err := j.rotate(j.slots[0], j.checkpoint(false)); err != nil {
		return err
	}
	f.ready = true
	return j.writeFormat(f)
}

// openSegments opens the segments that there are and makes those that are missing
// to reach the limit, with their blocks.
func (j *Journal) openSegments() error {
	names, err := j.fs.List(j.dir)
	if err != nil {
		return err
	}
	count := j.o.slots()
	for _, n := range names {
		var slot int
		if _, err := fmt.Sscanf(n, segmentPrefix+"%d", &slot); err == nil && segmentName(slot) == n && slot < maxSegments {
			count = max(count, slot+1)
		}
	}
	j.o.Limit = int64(count) * j.o.SegmentSize // more than asked for if it was larger once
	for slot := range count {
		name := path.Join(j.dir, segmentName(slot))
		file, err := j.fs.Open(name, vfs.Create|vfs.Direct)
		if err != nil {
			return err
		}
		j.slots = append(j.slots, &segment{name: segmentName(slot), file: file})
		size, err := file.Size()
		if err == nil && size < j.o.SegmentSize {
			if err = file.Allocate(j.o.SegmentSize); err == nil {
				err = file.Sync()
			}
		}
		if err != nil {
			return fmt.Errorf("allocate %s: %w", name, err)
		}
	}
	return j.fs.SyncDir(j.dir)
}

// prefill writes every new segment once, so that flushes overwrite blocks that the
// file system has already mapped.
func (j *Journal) prefill() {
	defer close(j.filled)
	if j.o.NoPrefill {
		return
	}
	zeros := vfs.NewBuffer(1 << 20)
	for _, s := range j.slots {
		j.mu.Lock()
		todo := s.state == free && !s.prepared
		s.filling = todo
		j.mu.Unlock()
		if !todo {
			continue
		}
		done, err := j.fillOne(s, zeros)
		j.mu.Lock()
		s.filling, s.prepared = false, done
		j.wake.Broadcast()
		j.mu.Unlock()
		if err != nil {
			j.fail(err, nil)
		}
		if !done {
			return
		}
	}
}

// fillOne reports false when the journal closes or fails.
func (j *Journal) fillOne(s *segment, zeros []byte) (bool, error) {
	for off := int64(0); off < j.o.SegmentSize; off += int64(len(zeros)) {
		j.mu.Lock()
		stop := j.closing || j.err != nil
		j.mu.Unlock()
		if stop {
			return false, nil
		}
		n := min(int64(len(zeros)), j.o.SegmentSize-off)
		if _, err := s.file.WriteAt(zeros[:n], off); err != nil {
			return false, fmt.Errorf("prepare %s/%s: %w", j.dir, s.name, err)
		}
	}
	head := vfs.NewBuffer(segmentHeader)
	encodeSegment(head, j.id, 0)
	_, err := s.file.WriteAt(head, 0)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return false, fmt.Errorf("prepare %s/%s: %w", j.dir, s.name, err)
	}
	return true, nil
}

// Prepared is closed when the new segments were written once, or never will be: until
// then that work shares the disk with the flushes.
func (j *Journal) Prepared() <-chan struct{} { return j.filled }
