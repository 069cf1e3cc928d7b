// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// commit is the committer: it writes what is queued, one flush after another.
func (j *Journal) commit() {
	defer close(j.stopped)
	for {
		batch, rotate, ok := j.take()
		if !ok {
			return
		}
		began := time.Now()
		var err error
		if rotate != nil {
			err = j.rotate(rotate, batch[0])
		} else {
			err = j.write(batch)
		}
		if err != nil {
			j.fail(err, batch)
			return
		}
		j.settle(batch, time.Since(began))
	}
}

// take waits for something to do. It returns the items of the next flush, or a
// segment to go on in and the checkpoint that opens it.
func (j *Journal) take() (batch []*item, rotate *segment, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch = j.batch[:0]
	defer func() { j.batch = batch }()
	for {
		if j.err != nil || (j.closing && len(j.queue) == 0) {
			return nil, nil, false
		}
		idle := j.freeable()
		next, early := j.firstReady()
		fits := next != nil && j.cur.end+up(next.size(), flushAlign) <= j.o.SegmentSize-j.o.checkpointRoom()
		room := j.cur.end+j.o.checkpointRoom() <= j.o.SegmentSize
		if next != nil && j.gathers() {
			continue
		}
		if (next != nil && !fits) || (idle && !room) {
			if s := j.pick(); s != nil {
				s.prepared = true // or the prefiller would write zeros over what begins here
				return append(batch, j.checkpoint(true)), s, true
			}
		}
		if room && (idle || j.mayLetGo()) {
			batch = append(batch, j.checkpoint(false))
		}
		if fits {
			batch = j.fill(batch, early)
		}
		if len(batch) > 0 {
			return batch, nil, true
		}
		j.wake.Wait()
	}
}

// freeable reports whether a checkpoint would free a segment.
func (j *Journal) freeable() bool {
	for _, s := range j.slots {
		if s.state == sealed && s.runs == 0 {
			return true
		}
	}
	return false
}

// firstReady returns the first item that can be written, or nil: one that is early only
// if there is no other. The caller holds j.mu.
func (j *Journal) firstReady() (first *item, early bool) {
	find := func(it *item) bool {
		first = it
		return false
	}
	if j.ready(false, find); first == nil && len(j.queue) > 0 && j.mayBeEarly() {
		early = true
		j.ready(early, find)
	}
	return first, early
}

// ready calls fn for the queued items that can be written, in order, until it returns
// false, and returns how many items of the queue it went by and which of them it left out:
// those whose payload is on its way outside, but for early ones if they are wanted, and
// what follows of their groups.
func (j *Journal) ready(early bool, fn func(*item) bool) (passed int, left []*item) {
	var blocked map[array.GroupID]bool
	for i, it := range j.queue {
		if it.waits && !(early && it.ref != nil) {
			if blocked == nil {
				blocked = map[array.GroupID]bool{}
			}
			blocked[it.Group] = true
		}
		if blocked[it.Group] {
			left = append(left, it)
		} else if !fn(it) {
			return i, left
		}
	}
	return len(j.queue), left
}

// fill moves queued items to the batch, as many as one flush and the segment take.
func (j *Journal) fill(batch []*item, early bool) []*item {
	var n int64
	for _, it := range batch {
		n += it.size()
	}
	limit := min(j.o.flushMax(), j.o.SegmentSize-j.o.checkpointRoom()-j.cur.end)
	before := len(batch)
	passed, left := j.ready(early, func(it *item) bool {
		if up(n+it.size(), flushAlign) > limit {
			return false
		}
		n += it.size()
		it.lay()
		batch = append(batch, it)
		return true
	})
	if len(batch) > before {
		j.flying = batch[before].at
	}
	kept := passed - len(left)
	copy(j.queue[kept:passed], left)
	rest := copy(j.queue, j.queue[kept:]) // few wait while one flush is made
	clear(j.queue[rest:])
	j.queue = j.queue[:rest]
	return batch
}

// write makes one flush of the batch at the end of the current segment.
func (j *Journal) write(batch []*item) error {
	for {
		n, err := j.writeFlush(batch)
		if err != nil {
			return err
		}
		if j.complete(batch) {
			j.mu.Lock()
			j.cur.end += n
			j.mu.Unlock()
			return nil
		}
	}
}

// writeFlush writes the batch, durably, and returns how much room it took.
func (j *Journal) writeFlush(batch []*item) (int64, error) {
	start := j.cur.end // only the committer changes it
	n := j.encode(j.staging, batch, j.cur.seq, start)
	if err := vfs.WriteDurable(j.cur.file, j.staging[:n], start); err != nil {
		return 0, fmt.Errorf("write %s/%s at %d, durably: %w", j.dir, j.cur.name, start, err)
	}
	return n, nil
}

// encode lays out a flush that will start at start of segment seq, and returns its
// padded length.
func (j *Journal) encode(b []byte, batch []*item, seq uint64, start int64) int64 {
	j.flush++
	var n int64
	for i, it := range batch {
		it.off = start + n
		h := header{
			Record: it.Record, seq: seq, flush: j.flush, flushStart: uint32(start), self: uint32(it.off),
			final:      i == len(batch)-1,
			payloadLen: uint32(len(it.body())), payloadCRC: block.Checksum(it.body()), outside: it.put != nil, early: it.early,
		}
		h.encode(b[n:n+headerSize], &j.id)
		end := n + size(len(it.body()))
		clear(b[n+headerSize+int64(copy(b[n+headerSize:], it.body())) : end])
		n = end
	}
	padded := up(n, flushAlign)
	clear(b[n:padded])
	return padded
}

// rotate goes on in segment s, which begins with checkpoint cp. Nothing follows in
// it before the checkpoint is durable: recovery relies on that.
func (j *Journal) rotate(s *segment, cp *item) error {
	j.mu.Lock()
	seq := j.next
	j.mu.Unlock()
	encodeSegment(j.staging[:segmentHeader], j.id, seq)
	n := j.encode(j.staging[segmentHeader:], []*item{cp}, seq, segmentHeader)
	if err := vfs.WriteDurable(s.file, j.staging[:segmentHeader+n], 0); err != nil {
		return fmt.Errorf("begin %s/%s, durably: %w", j.dir, s.name, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cur != nil && j.cur.state == current {
		j.cur.state = sealed
	}
	s.seq, s.state, s.end, s.prepared = seq, current, segmentHeader+n, true
	s.high = map[array.GroupID]array.Place{}
	j.cur, j.next, j.free = s, seq+1, j.free-1
	return nil
}

// settle makes a durable batch count, and tells those who wait.
func (j *Journal) settle(batch []*item, took time.Duration) {
	out := j.told[:0]
	j.mu.Lock()
	j.gather.flushed(len(batch), len(j.queue), took, time.Now())
	touched := j.touched[:0]
	for _, it := range batch {
		j.queued -= it.cost
		switch it.Kind {
		case Data, Zeros, Entry:
			// A group that is about to be dropped is indexed like any other: until
			// that is durable, a crash brings it back, and it must have no gaps.
			if !it.g.touched {
				it.g.touched = true
				touched = append(touched, it.g)
			}
			it.g.add(j.cur, it.off, it.Pos.Place)
			if it.put != nil {
				it.g.outs = append(it.g.outs, outsider{it.Pos.Place, it.Outside})
			}
		default:
			j.settleControl(it)
		}
	}
	for _, g := range touched {
		g.touched = false
		if !g.gone {
			out = append(out, Durable{g.id, g.last()})
		}
	}
	clear(touched)
	j.touched, j.told = touched, out
	j.flying = time.Time{}
	for _, it := range batch {
		if len(it.names) > 0 {
			j.gone = append(j.gone, gone{j.lastReader, it.names})
		}
	}
	rest := j.droppable()
	j.wake.Broadcast()
	j.mu.Unlock()
	drop(rest)
	finish(batch, nil)
	j.giveBack(batch)
	if len(out) > 0 && j.o.Durable != nil {
		j.o.Durable(out)
	}
}

// giveBack keeps the items of plain records for the next ones. Of those that others may
// know of, because they wait or carry a payload to where it lies outside, it lets go.
func (j *Journal) giveBack(batch []*item) {
	for _, it := range batch {
		if it.done == nil && it.Outside == nil && it.late == nil {
			*it = item{}
			j.items.Put(it)
		}
	}
	clear(batch)
}

// finish lets go of the items' buffers and answers those who wait for them.
func finish(items []*item, err error) {
	for _, it := range items {
		if it.Buf != nil {
			it.Buf.Release()
		}
		if it.done != nil {
			it.done <- err
		}
	}
}

// fail breaks the journal: what isn't known to be durable never will be.
func (j *Journal) fail(err error, batch []*item) {
	err = fmt.Errorf("journal is broken: %w", err)
	j.mu.Lock()
	first := j.err == nil
	if first {
		j.err = err
	}
	queue := j.queue
	j.queue = nil
	j.wake.Broadcast()
	j.mu.Unlock()
	finish(batch, err)
	finish(queue, err)
	if first && j.o.Failed != nil {
		j.o.Failed(err)
	}
}
