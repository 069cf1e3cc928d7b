// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"encoding/binary"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/scsi"
)

// slow is a unit that answers mutations only when told to, newest first.
type slow struct {
	scsi.Unit
	ranges  []int64 // offset and length of each, in the order of arrival
	pending []func(error)
}

func (s *slow) Mutate(_ *scsi.Op, m scsi.Mutation, done func(error)) {
	s.ranges = append(s.ranges, m.Offset, m.Length)
	s.pending = append(s.pending, done)
}

func (s *slow) answer(err error) {
	last := len(s.pending) - 1
	done := s.pending[last]
	s.pending = s.pending[:last]
	done(err)
}

// unmapOf is a parameter list of blocks, one descriptor each.
func unmapOf(lbas ...uint64) []byte {
	p := make([]byte, 8, 8+16*len(lbas))
	binary.BigEndian.PutUint16(p, uint16(6+16*len(lbas)))
	binary.BigEndian.PutUint16(p[2:], uint16(16*len(lbas)))
	for _, lba := range lbas {
		p = binary.BigEndian.AppendUint64(p, lba)
		p = append(p, 0, 0, 0, 1, 0, 0, 0, 0)
	}
	return p
}

// TestUnmapDoesNotQueue: the extents of one UNMAP don't wait for each other, and
// those that touch are one.
func TestUnmapDoesNotQueue(t *testing.T) {
	r := newRig(t)
	u := &slow{Unit: r.disk.Unit(0)}
	r.exports.Set(1, u)
	n := r.nexus("iqn.h", 1)
	r.runLUN(n, 1<<48, cdb(0, 0), nil)
	unmap := func(lbas ...uint64) <-chan *scsi.Command {
		u.ranges = nil
		p := unmapOf(lbas...)
		c := cdb(0x42, len(p))
		_, done := r.begin(n, c, p, func(c *scsi.Command) { c.LUN = 1 << 48 })
		return done
	}
	done := unmap(10, 11, 12, 20, 30)
	if len(u.pending) != 3 || u.ranges[0] != 10*512 || u.ranges[1] != 3*512 {
		t.Fatalf("%d under way: %v", len(u.pending), u.ranges)
	}
	u.answer(nil)
	u.answer(nil)
	if len(done) > 0 {
		t.Fatal("it ended before its last extent")
	}
	u.answer(nil)
	want(t, "three extents", <-done, scsi.Good, 0)

	many := make([]uint64, 100)
	for i := range many {
		many[i] = uint64(2 * i)
	}
	done = unmap(many...)
	for i := range many {
		if len(u.pending) == 0 {
			t.Fatalf("nothing under way after %d extents", i)
		}
		u.answer(nil)
	}
	want(t, "a hundred extents", <-done, scsi.Good, 0)

	done = unmap(10, 20, 30)
	u.answer(array.Errorf(array.Conflict, "the reservations changed"))
	u.answer(array.Errorf(array.Full, "no room"))
	u.answer(nil)
	want(t, "one that failed", <-done, check, 0x072707)
}
