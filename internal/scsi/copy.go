// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
)

// copyChunk is how much is read and written at a time, copyLanes how many of these are
// under way for one command. With maxCopies they bound what copies take of the memory
// that hosts' own commands need: 16 MiB.
const (
	copyChunk = block.MaxIO / 2
	copyLanes = 4
)

// decodeCopy checks the length of EXTENDED COPY's parameter list.
func decodeCopy(c *Command) error {
	n := binary.BigEndian.Uint32(c.CDB[10:])
	if n > maxCopyList+copyHeader || n > 0 && n < copyHeader {
		return badListLen()
	}
	c.want = int(n)
	return nil
}

// A copying is an EXTENDED COPY under way: reads at this array, and writes as a host's
// own, each with a place in the target's log. Segments follow one another, since one
// may read what another wrote; within one, chunks are copied side by side.
type copying struct {
	c      *Command
	list   copyList
	units  []*participant
	status *copyStatus
	at     int // the segment

	mu    sync.Mutex
	live  map[*Op]Unit
	lanes int
	wrote bool
	err   error

	waiters []func() // for its end; guarded by the lock of the unit that was asked
}

// participant is a unit that takes part.
type participant struct {
	unit   Unit
	lu     *logicalUnit
	resets uint64
	size   int64
	rights *reservation.State
}

// runCopy is EXTENDED COPY(LID1).
func runCopy(c *Command) {
	if c.Out == nil {
		c.end(nil)
		return
	}
	list, err := parseCopy(c.Out.Bytes())
	if err != nil {
		c.end(err)
		return
	}
	x := &copying{c: c, list: list, live: make(map[*Op]Unit)}
	for _, name := range list.units {
		p := c.nexus.participant(name)
		if p == nil {
			c.end(sensed{CopyAborted, copyUnreachable})
			return
		}
		x.units = append(x.units, p)
	}
	if c.nexus.server.copies.Add(1) > maxCopies {
		c.nexus.server.copies.Add(-1)
		c.end(array.Errorf(array.Busy, "%d copies are under way", maxCopies))
		return
	}
	if x.status, err = c.bound.openCopy(list, c.resets); err != nil {
		c.nexus.server.copies.Add(-1)
		c.end(err)
		return
	}
	c.copying.Store(x)
	c.bound.lu.copyBegins(x)
	x.inspect(0)
}

// copyBegins notes a copy, for who resets the unit that was asked for it.
func (lu *logicalUnit) copyBegins(x *copying) {
	lu.mu.Lock()
	defer lu.mu.Unlock()
	if lu.copies == nil {
		lu.copies = make(map[*copying]struct{})
	}
	lu.copies[x] = struct{}{}
}

// whenCopied drops the copies that the unit was asked for as far as that is possible,
// and calls f when all of them are quiet: the units they write to know nothing of this
// one's reset.
func (lu *logicalUnit) whenCopied(f func()) {
	var left atomic.Int32
	left.Store(1)
	end := func() {
		if left.Add(-1) == 0 {
			f()
		}
	}
	lu.mu.Lock()
	all := slices.Collect(maps.Keys(lu.copies))
	left.Add(int32(len(all)))
	for _, x := range all {
		x.waiters = append(x.waiters, end)
	}
	lu.mu.Unlock()
	for _, x := range all {
		x.cancel()
	}
	end()
}

// participant finds the unit of that name among those that the initiator sees, if this
// array may read and write it.
func (n *Nexus) participant(name array.WWN) *participant {
	for _, lun := range n.luns() {
		u, ok := n.exported(lun)
		if !ok || u.Identity().WWN != name {
			continue
		}
		b := n.bind(lun)
		if b == nil || b.lu.unit != u || pathError(u.Paths(b.nexus.Initiator).at(b.nexus.port).State, 0) != nil {
			return nil
		}
		return &participant{unit: u, lu: b.lu, resets: b.lu.resets.Load()}
	}
	return nil
}

// inspect asks the i-th unit for its size and reservations, then the others, then
// begins: what is refused rests on these.
func (x *copying) inspect(i int) {
	if i == len(x.units) {
		if err := x.check(); err != nil {
			x.end(err)
			return
		}
		x.segment()
		return
	}
	p := x.units[i]
	op, err := x.begin(p)
	if err != nil {
		x.end(err)
		return
	}
	p.unit.Inspect(op, func(f Facts, err error) {
		x.ended(op)
		if err != nil {
			x.end(err)
			return
		}
		p.size, p.rights = f.Size, f.Reservations
		x.inspect(i + 1)
	})
}

// check judges ranges and rights before anything is written.
func (x *copying) check() error {
	for _, s := range x.list.segments {
		from, to := x.units[s.from], x.units[s.to]
		me := x.c.nexus.Nexus
		switch {
		case s.source+s.length > from.size || s.target+s.length > to.size:
			return sensed{CopyAborted, noSense}
		case to.unit.Identity().ReadOnly, !from.rights.Allows(me, reservation.Read), !to.rights.Allows(me, reservation.Write):
			return sensed{CopyAborted, copyThirdParty}
		}
	}
	return nil
}

// segment copies the segment at hand, or ends the command.
func (x *copying) segment() {
	if x.at == len(x.list.segments) {
		x.end(nil)
		return
	}
	s := x.list.segments[x.at]
	chunks := int((s.length + copyChunk - 1) / copyChunk)
	lanes := min(max(chunks, 1), copyLanes)
	if s.overlaps(x.units[s.from].unit == x.units[s.to].unit) {
		lanes = 1 // no chunk may be overwritten before it is read
	}
	x.lanes = lanes
	for i := range lanes {
		x.lane(s, i, lanes)
	}
}

// lane copies chunk i of s and then each step-th after it.
func (x *copying) lane(s segment, i, step int) {
	chunks := int((s.length + copyChunk - 1) / copyChunk)
	if x.failed() || i >= chunks {
		x.laneEnded(s)
		return
	}
	at := i
	if step == 1 && s.target > s.source {
		at = chunks - 1 - i // towards the end: from the end
	}
	off := int64(at) * copyChunk
	b, ok := x.c.nexus.buffers.Get(int(min(copyChunk, s.length-off)))
	if !ok {
		x.fail(noMemory())
		x.laneEnded(s)
		return
	}
	x.read(s, off, b, func(err error) {
		b.Release()
		if err != nil {
			x.fail(err)
		}
		x.lane(s, i+step, step)
	})
}

// read reads a chunk and goes on to write it.
func (x *copying) read(s segment, off int64, b *block.Buffer, then func(error)) {
	p := x.units[s.from]
	op, err := x.permit(p, reservation.Read)
	if err != nil {
		then(err)
		return
	}
	p.unit.Read(op, s.source+off, b.Bytes(), func(err error) {
		x.ended(op)
		if err != nil {
			then(err)
			return
		}
		x.write(s, off, b, 0, then)
	})
}

// write writes a chunk. Reservations that changed meanwhile are looked at again.
func (x *copying) write(s segment, off int64, b *block.Buffer, tries int, then func(error)) {
	p := x.units[s.to]
	op, err := x.permit(p, reservation.Write)
	if err != nil {
		then(err)
		return
	}
	m := Mutation{Kind: Write, Offset: s.target + off, Length: int64(b.Len()), Data: b}
	if isZero(b.Bytes()) {
		m.Kind, m.Data = Zero, nil
	}
	p.unit.Mutate(op, m, func(err error) {
		x.ended(op)
		if err != nil && array.KindOf(err) == array.Conflict && tries < maxRetries {
			x.write(s, off, b, tries+1, then)
			return
		}
		if err == nil {
			x.progress(int64(b.Len()))
		}
		then(err)
	})
}

// permit is begin if the reservations allow it now.
func (x *copying) permit(p *participant, a reservation.Access) (*Op, error) {
	r := p.unit.Reservations()
	if !r.Allows(x.c.nexus.Nexus, a) {
		return nil, sensed{CopyAborted, copyThirdParty}
	}
	op, err := x.begin(p)
	if err == nil {
		op.Generation = r.Revision
	}
	return op, err
}

// begin returns an op for the next step on a unit, unless the command must not go on.
func (x *copying) begin(p *participant) (*Op, error) {
	if err := x.c.stale(); err != nil {
		return nil, err
	}
	op := x.c.nexus.newOp(x.c.Arrived)
	op.resets, op.at = &p.lu.resets, p.resets
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.c.aborted.Load() {
		return nil, abortedError() // Abort came since: it may not see this op
	}
	x.live[op] = p.unit
	return op, nil
}

func (x *copying) ended(op *Op) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.live, op)
}

// cancel drops what has no place yet.
func (x *copying) cancel() {
	x.mu.Lock()
	ops := make(map[*Op]Unit, len(x.live))
	for op, u := range x.live {
		ops[op] = u
	}
	x.mu.Unlock()
	for op, u := range ops {
		op.Cancel()
		u.Cancel(op)
	}
}

func (x *copying) progress(n int64) {
	x.mu.Lock()
	x.wrote = true
	x.mu.Unlock()
	x.c.bound.mu.Lock()
	x.status.bytes += uint32(n)
	x.c.bound.mu.Unlock()
}

func (x *copying) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil || array.KindOf(err) == array.Unknown {
		x.err = err
	}
}

func (x *copying) failed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.err != nil
}

// laneEnded goes on to the next segment after the last lane.
func (x *copying) laneEnded(segment) {
	x.mu.Lock()
	x.lanes--
	last, err := x.lanes == 0, x.err
	x.mu.Unlock()
	switch {
	case !last:
	case err != nil:
		x.end(err)
	default:
		x.at++
		x.c.bound.mu.Lock()
		x.status.segments++
		x.c.bound.mu.Unlock()
		x.segment()
	}
}

// end ends the command. Nothing of it is under way any more.
func (x *copying) end(err error) {
	x.c.copying.Store(nil)
	x.c.bound.closeCopy(x.list, x.status, err == nil)
	x.c.nexus.server.copies.Add(-1)
	lu := x.c.bound.lu
	x.c.end(x.outcome(err))
	lu.mu.Lock()
	delete(lu.copies, x)
	waiters := x.waiters
	lu.mu.Unlock()
	for _, f := range waiters {
		f()
	}
}

// outcome says what the host is told. BUSY invites it to do the same again, so it is
// for a copy that wrote nothing; of another the host must know that it ended halfway.
func (x *copying) outcome(err error) error {
	if _, plain := err.(sensed); err == nil || plain {
		return err
	}
	switch array.KindOf(err) {
	case array.Unknown, array.Full:
		return err
	case array.Aborted:
		if x.c.aborted.Load() || x.c.bound.lu.resets.Load() != x.c.resets {
			return err
		}
	case array.Busy, array.Moved, array.Conflict:
		if !x.wrote {
			return err
		}
	case array.Standby, array.Unavailable, array.NotFound:
		return sensed{CopyAborted, copyUnreachable}
	case array.Range:
		return sensed{CopyAborted, noSense}
	}
	return sensed{CopyAborted, copyThirdParty}
}
