// SPDX-License-Identifier: Apache-2.0

package group

import (
	"slices"
	"sync"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
)

// A write may have been answered by the other array while this one still waits to hear
// that it is committed. So a read that overlaps a record which is in the journal here
// and not applied waits for it, on both arrays: what either has answered, both show.

// flight is a record between its way to the journal and its application.
type flight struct {
	place    array.Place
	off, len int64
}

// flights are those of one unit, oldest first. The loop changes them; readers look.
type flights struct {
	mu   sync.Mutex
	list []flight
}

// departs notes a record that is about to be handed to the journal.
func (f *flights) departs(r journal.Record) {
	f.mu.Lock()
	f.list = append(f.list, flight{place: r.Pos.Place, off: r.Offset, len: r.Length})
	f.mu.Unlock()
}

// lands takes out the record at a place.
func (f *flights) lands(place array.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if f.list[i].place == place {
			f.list = slices.Delete(f.list, i, i+1)
			return
		}
	}
}

// clear takes out all: the unit is no more.
func (f *flights) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = nil
}

// newest returns the place of the newest record that overlaps a range, 0 if none does.
func (f *flights) newest(off, n int64) (place array.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if overlap(x.off, x.len, off, n) {
			place = x.place
		}
	}
	return place
}

// any reports whether a record up to a place overlaps a range.
func (f *flights) any(off, n int64, upTo array.Place) bool {
	if upTo == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if x.place <= upTo && overlap(x.off, x.len, off, n) {
			return true
		}
	}
	return false
}

// departs notes a record of a group that has another half, before it is handed to the
// journal.
func (g *Group) departs(r journal.Record) {
	if u := g.units[r.Volume]; u != nil && g.cfg.Peer != nil && r.Kind != journal.Entry && !g.cfg.Hasty {
		u.flights.departs(r)
	}
}

// lands is called when what the record wrote can be read, or never will be.
func (g *Group) lands(r journal.Record) {
	if u := g.units[r.Volume]; u != nil && g.cfg.Peer != nil && r.Kind != journal.Entry {
		u.flights.lands(r.Pos.Place)
		u.retryReads()
	}
}
