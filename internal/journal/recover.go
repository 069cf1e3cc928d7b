// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// recover finds the newest segment, reads its last checkpoint and the changes
// behind it, and indexes the records that count.
func (j *Journal) recover() error {
	segs, err := j.survey()
	if err != nil {
		return err
	}
	head := segs[len(segs)-1]
	for _, s := range j.slots {
		j.next = max(j.next, s.seq+1)
	}
	for _, s := range segs {
		if err := j.index(s); err != nil {
			return err
		}
	}
	for _, g := range j.groups {
		g.tail = g.position(g.durable)
	}
	j.cur = head
	return j.cleanTail(head)
}

// survey returns the segments that count, oldest first, the newest last.
func (j *Journal) survey() ([]*segment, error) {
	if err := j.readHeaders(); err != nil {
		return nil, err
	}
	head, err := j.findHead()
	if err != nil {
		return nil, err
	}
	cp, err := j.readHead(head)
	if err != nil {
		return nil, err
	}
	return j.claim(cp, head)
}

// readHeaders learns every segment's sequence number; 0 where there is none.
func (j *Journal) readHeaders() error {
	b := vfs.NewBuffer(segmentHeader)
	for _, s := range j.slots {
		if _, err := s.file.ReadAt(b, 0); err != nil {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		seq, err := decodeSegment(b, j.id)
		if err == nil {
			s.seq, s.prepared = seq, true
		}
	}
	return nil
}

func (j *Journal) window(s *segment) *window {
	return &window{file: s.file, size: j.o.SegmentSize, step: windowSize}
}

// glance is a window for a look at one record.
func (j *Journal) glance(s *segment) *window {
	return &window{file: s.file, size: j.o.SegmentSize, step: flushAlign}
}

// findHead returns the newest segment that begins with a checkpoint. A newer one
// without was being begun when the power went, unless records follow.
func (j *Journal) findHead() (*segment, error) {
	byAge := slices.Clone(j.slots)
	slices.SortFunc(byAge, func(a, b *segment) int { return int(int64(b.seq) - int64(a.seq)) })
	for _, s := range byAge {
		if s.seq == 0 {
			break
		}
		h, err := j.glance(s).record(j.id, s.seq, segmentHeader)
		var torn *errTorn
		switch {
		case err == nil && h.Kind == kindCheckpoint:
			return s, j.checkOrphans(s)
		case err != nil && !errors.As(err, &torn):
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
		off, err := j.flushBehind(s, s.seq, segmentHeader)
		if err != nil {
			return nil, err
		}
		if off != 0 {
			return nil, damaged(s, segmentHeader, fmt.Errorf("its checkpoint is unreadable but records follow at %d", off))
		}
	}
	return nil, array.Errorf(array.Medium, "no segment is readable: all headers or checkpoints are damaged")
}

// checkOrphans looks at segments without a header: one that has a checkpoint newer
// than the head's and records behind it lost its header to damage, and its records
// must not be dropped.
func (j *Journal) checkOrphans(head *segment) error {
	for _, s := range j.slots {
		if s.seq != 0 {
			continue
		}
		b, err := j.glance(s).at(segmentHeader, headerSize)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		h, err := decodeHeader(b, j.id, segmentHeader)
		if err != nil || h.seq <= head.seq {
			continue
		}
		if off, err := j.flushBehind(s, h.seq, segmentHeader); err != nil || off != 0 {
			return errors.Join(err, damaged(s, 0, fmt.Errorf("its header is unreadable but it holds newer records than any other")))
		}
	}
	return nil
}

func damaged(s *segment, off int64, why error) error {
	return &array.Error{Kind: array.Medium, Text: fmt.Sprintf("segment %s is damaged at offset %d", s.name, off), Err: why}
}

// flushBehind returns where, behind off, a flush of segment seq begins; 0 if none.
func (j *Journal) flushBehind(s *segment, seq uint64, off int64) (int64, error) {
	w := j.window(s)
	for at := off/flushAlign*flushAlign + flushAlign; at+headerSize <= j.o.SegmentSize; at += flushAlign {
		b, err := w.at(at, headerSize)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", s.name, err)
		}
		if h, err := decodeHeader(b, j.id, at); err == nil && h.seq == seq && h.flushStart == h.self {
			return at, nil
		}
	}
	return 0, nil
}

// walk calls fn for the records of a segment up to end.
func (j *Journal) walk(s *segment, end int64, fn func(header) error) error {
	w := j.window(s)
	for off := int64(segmentHeader); off < end; {
		h, err := w.record(j.id, s.seq, off)
		var torn *errTorn
		if errors.As(err, &torn) {
			return damaged(s, off, torn.why)
		}
		if err != nil {
			return fmt.Errorf("read %s at %d: %w", s.name, off, err)
		}
		if err := fn(h); err != nil {
			return err
		}
		off = h.next()
	}
	return nil
}

// next returns where the record after h begins.
func (h *header) next() int64 {
	end := int64(h.self) + size(int(h.payloadLen))
	if h.final {
		return up(end, flushAlign)
	}
	return end
}

// findEnd returns where the last whole flush of the head ends. Of a flush that is
// torn nothing counts: none of its records was said to be durable.
func (j *Journal) findEnd(s *segment) (int64, error) {
	w := j.window(s)
	var early, last [][]byte // of the flush that is read, and of the one before
	start, end := int64(segmentHeader), int64(segmentHeader)
	for off := end; off+headerSize <= j.o.SegmentSize; {
		h, err := w.record(j.id, s.seq, off)
		if err == nil && int64(h.flushStart) != end {
			err = &errTorn{fmt.Errorf("record is of the flush at %d, not %d", h.flushStart, end)}
		}
		var torn *errTorn
		if errors.As(err, &torn) {
			behind, err := j.flushBehind(s, s.seq, off)
			if err == nil && behind != 0 {
				err = damaged(s, off, fmt.Errorf("%w, but records follow at %d", torn.why, behind))
			}
			if err != nil {
				return 0, err
			}
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read %s at %d: %w", s.name, off, err)
		}
		if h.early {
			early = append(early, bytes.Clone(h.Payload))
		}
		if off = h.next(); h.final {
			start, end = end, off
			last, early = early, nil
		}
	}
	return j.confirm(start, end, last), nil
}

// readHead finds the last checkpoint and takes up the groups from it and from the
// changes behind it.
func (j *Journal) readHead(head *segment) (checkpoint, error) {
	var last checkpoint
	end, err := j.findEnd(head)
	if err != nil {
		return last, err
	}
	err = j.walk(head, end, func(h header) error {
		j.flush = max(j.flush, h.flush)
		at := location{head.seq, int64(h.self)}
		switch h.Kind {
		case kindCheckpoint:
			cp, err := decodeCheckpoint(h.Payload)
			if err != nil {
				return damaged(head, at.off, err)
			}
			last = cp
			clear(j.groups)
			for _, g := range cp.groups {
				n := newGroup(g.group, g.base)
				n.born, n.cuts = g.born, g.cuts
				j.groups[g.group] = n
			}
		case kindBase:
			n := newGroup(h.Group, h.Pos)
			n.born = at
			j.groups[h.Group] = n
		case kindForget:
			delete(j.groups, h.Group)
		case kindCut:
			if g := j.groups[h.Group]; g != nil {
				g.cuts = append(g.cuts, cut{h.Pos.Place, at})
			}
		}
		return nil
	})
	head.end = end
	for id, g := range j.groups {
		j.kept[id] = g
	}
	return last, err
}

// claim returns the segments that count, oldest first, the head last. The others
// are free.
func (j *Journal) claim(cp checkpoint, head *segment) ([]*segment, error) {
	bySeq := map[uint64]*segment{}
	for _, s := range j.slots {
		s.state = free
		if s.seq != 0 {
			bySeq[s.seq] = s
		}
	}
	var segs []*segment
	for _, l := range cp.live {
		s := bySeq[l.seq]
		if s == nil || s == head || l.end < segmentHeader || l.end > j.o.SegmentSize {
			return nil, array.Errorf(array.Medium, "segment with sequence number %d is missing: its file is gone or its header is damaged", l.seq)
		}
		s.state, s.end = sealed, l.end
		segs = append(segs, s)
	}
	head.state = current
	slices.SortFunc(segs, func(a, b *segment) int { return int(int64(a.seq) - int64(b.seq)) })
	j.free = len(j.slots) - len(segs) - 1
	return append(segs, head), nil
}

// index takes up the records of a segment that count.
func (j *Journal) index(s *segment) error {
	s.high = map[array.GroupID]array.Place{}
	return j.walk(s, s.end, func(h header) error {
		g := j.groups[h.Group]
		if h.Kind >= kindCheckpoint || g == nil {
			return nil
		}
		s.high[h.Group] = max(s.high[h.Group], h.Pos.Place)
		if !g.alive(h.Pos.Place, location{s.seq, int64(h.self)}) {
			return nil
		}
		if h.Pos.Place != g.durable+1 || h.Pos.Epoch < g.tail.Epoch || h.Pos.Term < g.tail.Term {
			return damaged(s, int64(h.self), fmt.Errorf("record %s of group %s can't follow %s", h.Pos, g.id, g.tail))
		}
		g.accept(h.Pos)
		g.add(s, int64(h.self), h.Pos.Place)
		if !h.outside || j.o.Places == nil {
			return nil
		}
		// What can't be claimed is where nobody writes either; whoever reads it is told.
		if at, err := j.o.Places.Claim(h.Payload); err == nil {
			g.outs = append(g.outs, outsider{h.Pos.Place, at})
		}
		return nil
	})
}

// cleanTail overwrites what a torn flush may have left behind the end, so that no
// piece of it lines up with later records. It also makes durable what was read.
func (j *Journal) cleanTail(head *segment) error {
	n := min(j.o.flushMax(), j.o.SegmentSize-head.end)
	clear(j.staging)
	if n > 0 {
		if _, err := head.file.WriteAt(j.staging[:n], head.end); err != nil {
			return fmt.Errorf("clean the end of %s: %w", head.name, err)
		}
	}
	if err := head.file.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", head.name, err)
	}
	return nil
}
