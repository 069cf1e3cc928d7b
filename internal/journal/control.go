// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// SetBase begins a group at pos, durably: its next record is the one after. If the
// group is there already, all its records are dropped.
func (j *Journal) SetBase(id array.GroupID, pos array.Position) error {
	err := j.control(&item{Record: Record{Kind: kindBase, Group: id, Pos: pos}}, func(it *item) error {
		if j.groups[id] == nil && len(j.groups) >= j.o.MaxGroups {
			return array.Errorf(array.Full, "the journal has %d groups, no more fit", len(j.groups))
		}
		it.g = newGroup(id, pos)
		if old := j.groups[id]; old != nil {
			old.gone = true
		}
		j.groups[id] = it.g
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin journal of group %s: %w", id, err)
	}
	return nil
}

// Forget drops a group and all its records, durably.
func (j *Journal) Forget(id array.GroupID) error {
	err := j.control(&item{Record: Record{Kind: kindForget, Group: id}}, func(it *item) error {
		if it.g = j.groups[id]; it.g == nil {
			return array.Errorf(array.NotFound, "no such group")
		}
		it.g.gone = true
		delete(j.groups, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop journal of group %s: %w", id, err)
	}
	return nil
}

// Cut drops a group's records beyond place after. When it returns they are gone
// for ever, and Append continues at after+1. Until then Append refuses the group.
func (j *Journal) Cut(id array.GroupID, after array.Place) error {
	err := j.control(&item{Record: Record{Kind: kindCut, Group: id, Pos: array.Position{Place: after}}}, func(it *item) error {
		g := j.groups[id]
		switch {
		case g == nil:
			return array.Errorf(array.NotFound, "no such group")
		case g.cutting:
			return array.Errorf(array.Conflict, "another cut is under way")
		case after < g.base.Place || after > g.tail.Place:
			return array.Errorf(array.Invalid, "the journal has places %d to %d", g.base.Place+1, g.tail.Place)
		case j.cuts() >= j.o.maxCuts() && j.pruneCuts() >= j.o.maxCuts():
			return array.Errorf(array.Full, "the journal remembers %d cuts, no more fit", j.cuts())
		}
		it.g, g.cutting = g, true
		g.retract(after)
		return nil
	})
	if err != nil {
		return fmt.Errorf("cut journal of group %s after place %d: %w", id, after, err)
	}
	return nil
}

// Release says that the group's records up to place upTo are no longer needed. It
// doesn't wait: after a crash some of them may be there again.
func (j *Journal) Release(id array.GroupID, upTo array.Place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if g := j.groups[id]; g != nil {
		g.release(min(upTo, g.durable, g.tail.Place))
		j.released = append(j.released, g.letGo(g.base.Place+1, g.durable)...)
		j.wake.Broadcast()
	}
}

// control queues one of the journal's own records if prepare agrees, and waits
// until it is durable.
func (j *Journal) control(it *item, prepare func(*item) error) error {
	j.mu.Lock()
	err := j.usable()
	if err == nil && Cost(0) > j.room(keepForControl) {
		err = ErrFull
	}
	if err == nil {
		err = prepare(it)
	}
	if err != nil {
		j.mu.Unlock()
		return err
	}
	it.cost, it.at, it.done = Cost(0), j.o.Now(), make(chan error, 1)
	j.enqueue(it)
	j.mu.Unlock()
	return <-it.done
}

// settleControl makes one of the journal's own records count. The caller holds j.mu.
func (j *Journal) settleControl(it *item) {
	at := location{j.cur.seq, it.off}
	switch it.Kind {
	case kindCheckpoint:
		for _, s := range it.freed {
			s.state, s.high = free, nil
			j.free++
		}
	case kindBase:
		if old := j.kept[it.Group]; old != nil {
			it.names = old.drop()
		}
		it.g.born = at
		j.kept[it.Group] = it.g
	case kindForget:
		if old := j.kept[it.Group]; old != nil {
			it.names = old.drop()
		}
		delete(j.kept, it.Group)
	case kindCut:
		// An earlier cut that took less away says nothing beside this one.
		it.g.cuts = slices.DeleteFunc(it.g.cuts, func(c cut) bool { return c.after >= it.Pos.Place })
		it.g.cuts = append(it.g.cuts, cut{it.Pos.Place, at})
		it.g.cutting = false
		it.g.truncate(it.Pos.Place)
		it.names = it.g.letGo(0, it.Pos.Place)
	}
}

// checkpoint returns a checkpoint of what is durable. The segments that it stops
// naming become free when it is durable. With sealing the current segment is one
// of those behind it. The caller holds j.mu.
func (j *Journal) checkpoint(sealing bool) *item {
	it := &item{Record: Record{Kind: kindCheckpoint}, names: j.released}
	j.released = nil
	var cp checkpoint
	for _, s := range j.slots {
		behind := s.state == sealed || (sealing && s.state == current)
		switch {
		case behind && s.runs == 0:
			s.state = freeing
			it.freed = append(it.freed, s)
		case behind:
			cp.live = append(cp.live, liveSegment{s.seq, s.end})
		}
	}
	for _, g := range j.kept {
		g.cuts = slices.DeleteFunc(g.cuts, func(c cut) bool { return !j.needed(g.id, c) })
		cp.groups = append(cp.groups, groupState{group: g.id, base: g.base, born: g.born, cuts: g.cuts})
	}
	it.Payload = cp.encode()
	return it
}

// pruneCuts forgets the cuts that took away nothing that still counts, and returns
// how many remain.
func (j *Journal) pruneCuts() int {
	for _, g := range j.kept {
		g.cuts = slices.DeleteFunc(g.cuts, func(c cut) bool { return !j.needed(g.id, c) })
	}
	return j.cuts()
}

// needed reports whether a segment that counts still has records that c took away.
func (j *Journal) needed(id array.GroupID, c cut) bool {
	for _, s := range j.slots {
		if s.state != free && s.state != freeing && s.seq <= c.at.seq && s.high[id] > c.after {
			return true
		}
	}
	return false
}

func (j *Journal) cuts() int {
	n := 0
	for _, g := range j.kept {
		n += len(g.cuts)
	}
	return n
}

// pick returns a free segment that nobody reads, or nil. The caller holds j.mu.
func (j *Journal) pick() *segment {
	var second *segment
	for _, s := range j.slots {
		if s.state != free || s.pins > 0 || s.filling {
			continue
		}
		if s.prepared {
			return s
		}
		if second == nil {
			second = s
		}
	}
	return second
}
