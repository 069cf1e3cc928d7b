// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// Read calls fn for the group's durable records from place from on, in order, as
// they were when Read was called. A record's payload is valid during the call. It
// fails if records are wanted that were released. An error of fn is returned as
// it is.
func (j *Journal) Read(id array.GroupID, from array.Place, fn func(Record) error) error {
	return j.read(id, from, true, fn)
}

// Scan is Read for who needs no data: a payload that lies outside is not loaded, and is nil.
func (j *Journal) Scan(id array.GroupID, from array.Place, fn func(Record) error) error {
	return j.read(id, from, false, fn)
}

func (j *Journal) read(id array.GroupID, from array.Place, data bool, fn func(Record) error) error {
	runs, outs, reader, err := j.pinRuns(id, from)
	if err != nil {
		return fmt.Errorf("read journal of group %s from place %d: %w", id, from, err)
	}
	defer j.unpin(runs, reader)
	for _, r := range runs {
		w := j.window(r.seg)
		for i, off := range r.offs {
			place := r.first + array.Place(i)
			at := int64(off) * recordAlign
			h, err := w.record(j.id, r.seg.seq, at)
			if err == nil && (h.Group != id || h.Pos.Place != place) {
				err = &errTorn{fmt.Errorf("it holds record %s of group %s", h.Pos, h.Group)}
			}
			var torn *errTorn
			if errors.As(err, &torn) {
				err = damaged(r.seg, at, torn.why)
			}
			if err == nil && h.outside {
				if h.Outside = outs[place]; data {
					err = j.load(w, &h)
				} else {
					h.Payload = nil
				}
			}
			if err != nil {
				return fmt.Errorf("read journal of group %s at place %d: %w", id, place, err)
			}
			if err := fn(h.Record); err != nil {
				return err
			}
		}
	}
	return nil
}

// pinRuns returns the pieces of the group's log from place from on, and keeps
// their segments, and what is outside, from being used again.
func (j *Journal) pinRuns(id array.GroupID, from array.Place) (runs []run, outs map[array.Place]Outside, reader uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.groups[id]
	if g == nil {
		return nil, nil, 0, array.Errorf(array.NotFound, "no such group")
	}
	if from <= g.base.Place {
		return nil, nil, 0, array.Errorf(array.Range, "the journal begins at place %d", g.base.Place+1)
	}
	last := g.last().Place
	for _, r := range g.runs {
		lo, hi := max(r.first, from), min(r.last(), last)
		if lo > hi {
			continue
		}
		r.seg.pins++
		runs = append(runs, run{seg: r.seg, first: lo, offs: r.offs[lo-r.first : hi-r.first+1]})
	}
	outs = map[array.Place]Outside{}
	for _, o := range g.outs {
		outs[o.place] = o.at
	}
	j.lastReader++
	j.readers[j.lastReader] = struct{}{}
	return runs, outs, j.lastReader, nil
}

func (j *Journal) unpin(runs []run, reader uint64) {
	j.mu.Lock()
	delete(j.readers, reader)
	outs := j.droppable()
	defer drop(outs)
	defer j.mu.Unlock()
	for _, r := range runs {
		r.seg.pins--
	}
	j.wake.Broadcast()
}
