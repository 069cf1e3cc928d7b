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
	runs, outs, err := j.pinRuns(id, from)
	if err != nil {
		return fmt.Errorf("read journal of group %s from place %d: %w", id, from, err)
	}
	defer j.unpin(runs)
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
				err = j.load(w, &h)
				h.Outside = outs[place]
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
func (j *Journal) pinRuns(id array.GroupID, from array.Place) ([]run, map[array.Place]Outside, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.groups[id]
	if g == nil {
		return nil, nil, array.Errorf(array.NotFound, "no such group")
	}
	if from <= g.base.Place {
		return nil, nil, array.Errorf(array.Range, "the journal begins at place %d", g.base.Place+1)
	}
	last := g.last().Place
	var runs []run
	for _, r := range g.runs {
		lo, hi := max(r.first, from), min(r.last(), last)
		if lo > hi {
			continue
		}
		r.seg.pins++
		runs = append(runs, run{seg: r.seg, first: lo, offs: r.offs[lo-r.first : hi-r.first+1]})
	}
	outs := map[array.Place]Outside{}
	for _, o := range g.outs {
		outs[o.place] = o.at
	}
	j.readers++
	return runs, outs, nil
}

func (j *Journal) unpin(runs []run) {
	j.mu.Lock()
	j.readers--
	gone := j.droppable()
	defer drop(gone)
	defer j.mu.Unlock()
	for _, r := range runs {
		r.seg.pins--
	}
	j.wake.Broadcast()
}
