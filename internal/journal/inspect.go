// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// Log is what the journal holds of a group.
type Log struct {
	Group array.GroupID
	// Base is the place before the first record, Last that of the last.
	Base, Last array.Position
}

// Inspect reads the journal in dir as Open would, every record of it, and changes
// nothing. What it names outside is loaded from places. It calls report for what is wrong, in words for people, and returns what it
// found of each group up to there. A journal that is open is refused.
func Inspect(files vfs.FS, dir string, places Places, report func(string)) ([]Log, error) {
	j := &Journal{fs: files, dir: dir, groups: map[array.GroupID]*group{}, kept: map[array.GroupID]*group{}, readers: map[uint64]struct{}{}}
	j.wake.L = &j.mu
	if places != nil {
		j.o.Places = readOnly{places}
	}
	lock, err := files.Open(path.Join(dir, "lock"), vfs.Lock)
	if errors.Is(err, fs.ErrNotExist) {
		report("there is no journal")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect journal %s: %w", dir, err)
	}
	defer lock.Close()
	defer func() {
		for _, s := range j.slots {
			_ = s.file.Close()
		}
	}()
	if err := j.readIndex(); err != nil {
		report(err.Error())
	}
	return j.readAll(report), nil
}

// readOnly claims nothing.
type readOnly struct{ Places }

func (readOnly) Claim([]byte) (Outside, error) { return nil, nil }

// readIndex finds all records without writing anything.
func (j *Journal) readIndex() error {
	f, err := j.readFormat()
	if err != nil {
		return err
	}
	if !f.ready {
		return array.Errorf(array.Medium, "the journal was not made to its end")
	}
	j.id, j.o.SegmentSize = f.id, f.segmentSize
	names, err := j.fs.List(j.dir)
	if err != nil {
		return err
	}
	for slot := 0; slices.Contains(names, segmentName(slot)); slot++ {
		file, err := j.fs.Open(path.Join(j.dir, segmentName(slot)), vfs.ReadOnly|vfs.Direct)
		if err != nil {
			return err
		}
		j.slots = append(j.slots, &segment{name: segmentName(slot), file: file})
		if size, err := file.Size(); err != nil || size < f.segmentSize {
			return errors.Join(err, array.Errorf(array.Medium, "%s has %d bytes of %d", segmentName(slot), size, f.segmentSize))
		}
	}
	segs, err := j.survey()
	if err != nil {
		return err
	}
	for _, s := range segs {
		if err := j.index(s); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads what was indexed once more, as a filling of the other array would.
func (j *Journal) readAll(report func(string)) []Log {
	var logs []Log
	for id, g := range j.groups {
		logs = append(logs, Log{Group: id, Base: g.base, Last: g.last()})
		if g.last().Place == g.base.Place {
			continue
		}
		if err := j.Read(id, g.base.Place+1, func(Record) error { return nil }); err != nil {
			report(err.Error())
		}
	}
	slices.SortFunc(logs, func(a, b Log) int { return int(int64(a.Group - b.Group)) })
	return logs
}
