// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// checkpoint is what recovery can't learn from the records that remain: which
// segments count, and for each group where its records begin and which of them
// were cut although the cut's own record may be gone.
type checkpoint struct {
	live   []liveSegment
	groups []groupState
}

// liveSegment is a sealed segment that holds something that counts.
type liveSegment struct {
	seq uint64
	end int64
}

// location orders everything that was ever written.
type location struct {
	seq uint64
	off int64
}

func (l location) before(m location) bool { return l.seq < m.seq || (l.seq == m.seq && l.off < m.off) }

// cut says that of what stands before at, nothing beyond after counts.
type cut struct {
	after array.Place
	at    location
}

// groupState is a group in a checkpoint.
type groupState struct {
	group array.GroupID
	base  array.Position
	// born is where the group began; records before it belong to a former life.
	born location
	cuts []cut
}

// Limits of a checkpoint, and so of the room that each segment keeps for one.
const (
	maxSegments = 4096
	maxCuts     = 1024 // of all groups
)

func (c *checkpoint) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(c.live)))
	for _, s := range c.live {
		b = le.AppendUint64(b, s.seq)
		b = le.AppendUint64(b, uint64(s.end))
	}
	b = le.AppendUint32(b, uint32(len(c.groups)))
	for _, g := range c.groups {
		b = le.AppendUint64(b, uint64(g.group))
		b = appendPosition(b, g.base)
		b = appendLocation(b, g.born)
		b = le.AppendUint32(b, uint32(len(g.cuts)))
		for _, c := range g.cuts {
			b = le.AppendUint64(b, uint64(c.after))
			b = appendLocation(b, c.at)
		}
	}
	return b
}

func appendPosition(b []byte, p array.Position) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Epoch))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Term))
	return binary.LittleEndian.AppendUint64(b, uint64(p.Place))
}

func appendLocation(b []byte, l location) []byte {
	b = binary.LittleEndian.AppendUint64(b, l.seq)
	return binary.LittleEndian.AppendUint64(b, uint64(l.off))
}

// reader takes numbers off a byte slice and remembers when it ran out.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.short, r.b = true, nil
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) location() location { return location{r.u64(), int64(r.u64())} }

func (r *reader) position() array.Position {
	return array.Position{Epoch: array.Epoch(r.u64()), Term: array.Term(r.u64()), Place: array.Place(r.u64())}
}

func decodeCheckpoint(b []byte) (checkpoint, error) {
	var c checkpoint
	r := &reader{b: b}
	n := r.u32()
	for i := uint32(0); i < n && !r.short; i++ {
		c.live = append(c.live, liveSegment{r.u64(), int64(r.u64())})
	}
	n = r.u32()
	for i := uint32(0); i < n && !r.short; i++ {
		g := groupState{group: array.GroupID(r.u64()), base: r.position(), born: r.location()}
		cuts := r.u32()
		for k := uint32(0); k < cuts && !r.short; k++ {
			g.cuts = append(g.cuts, cut{array.Place(r.u64()), r.location()})
		}
		c.groups = append(c.groups, g)
	}
	if r.short || len(r.b) != 0 {
		return checkpoint{}, fmt.Errorf("checkpoint of %d bytes has a wrong length", len(b))
	}
	return c, nil
}
