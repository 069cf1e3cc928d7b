// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// Options says how a journal works. Limit and SegmentSize count when it is made;
// a larger Limit later adds segments.
type Options struct {
	// Limit is the room of all segments together, in bytes.
	Limit int64
	// SegmentSize is the room of one; 0 chooses.
	SegmentSize int64
	// MaxPayload is the longest payload, 0 for 1 MiB.
	MaxPayload int
	// MaxGroups is how many groups there may be, 0 for 4096.
	MaxGroups int
	// Durable is told after each flush, in order, how far the groups touched by it
	// are durable. It must not block for long and may call every method but those
	// that wait for the disk. What it is given is valid until it returns.
	Durable func([]Durable)
	// Failed is told once, when the journal breaks.
	Failed func(error)
	// Cut is told, while the journal is opened, that its last flush counts for nothing since
	// data of it are not where its records say. After a power cut they never came there; a
	// disk that lost them later looks the same.
	Cut func(records int)
	// Now is the clock for Oldest, time.Now if nil.
	Now func() time.Time
	// Places finds the payloads that records name which lie outside the journal. It may be
	// nil if there never were any.
	Places Places
	// NoPrefill leaves out writing new segments once before use, in the background.
	NoPrefill bool
}

// Durable says that the disk holds a group's records up to a position.
type Durable struct {
	Group array.GroupID
	Pos   array.Position
}

func (o *Options) complete() error {
	if o.MaxPayload == 0 {
		o.MaxPayload = 1 << 20
	}
	if o.MaxGroups == 0 {
		o.MaxGroups = 4096
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = min(64<<20, max(8<<20, up(o.Limit/16, 1<<20)))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.SegmentSize%flushAlign != 0 || o.SegmentSize > 1<<30:
		return array.Errorf(array.Invalid, "segment size %d is not a multiple of %d up to 1 GiB", o.SegmentSize, flushAlign)
	case o.slots() < minSlots || o.slots() > maxSegments:
		return array.Errorf(array.Invalid, "journal of %d MiB: with segments of %d MiB, which stay as the journal was made, it must have %d to %d MiB",
			o.Limit>>20, o.SegmentSize>>20, minSlots*o.SegmentSize>>20, maxSegments*o.SegmentSize>>20)
	case o.MaxPayload < 0 || Cost(o.MaxPayload) > o.flushMax() || o.checkpointRoom() > o.flushMax():
		return array.Errorf(array.Invalid, "segments of %d bytes are too small for payloads of %d and %d groups",
			o.SegmentSize, o.MaxPayload, o.MaxGroups)
	}
	return nil
}

func (o *Options) slots() int { return int(o.Limit / o.SegmentSize) }

// flushMax bounds one flush, and so what a power cut may leave torn.
func (o *Options) flushMax() int64 { return flushMax(o.SegmentSize) }

func flushMax(segmentSize int64) int64 { return min(4<<20, segmentSize/4/flushAlign*flushAlign) }

func (o *Options) maxCuts() int { return min(maxCuts, 16*o.MaxGroups) }

func (o *Options) checkpointRoom() int64 {
	return Cost(8 + o.slots()*16 + o.MaxGroups*52 + o.maxCuts()*24)
}

// Journal is an open journal.
type Journal struct {
	fs   vfs.FS
	dir  string
	o    Options
	id   [16]byte
	lock vfs.File

	// staging and flush are the committer's own.
	staging []byte
	// items are of records that became durable, for the next ones, and apart: the runtime has a
	// list of every sync.Pool, and would keep the whole journal with it after Close. touched and
	// told are the committer's lists of groups, batch its last flush, whose memory the next one
	// takes.
	items   *sync.Pool
	batch   []*item
	touched []*group
	told    []Durable
	flush   uint64

	stopped chan struct{} // closed when the committer has ended
	filled  chan struct{} // closed when the prefiller has ended

	mu   sync.Mutex
	wake sync.Cond // queue, closing, freeing or a segment's state changed
	// groups are as callers see them, with what is queued; kept are those whose
	// base record is durable, for checkpoints.
	groups map[array.GroupID]*group
	kept   map[array.GroupID]*group
	slots  []*segment
	cur    *segment
	next   uint64 // sequence number of the next segment
	free   int    // segments in state free
	queue  []*item
	// outward are payloads that wait to be written outside, by so many writers.
	outward []*item
	writers int
	// released is outside and named by no record since the last checkpoint, gone by none
	// on disk either. Readers, by number, are those that may still meet it.
	released   []Outside
	gone       []gone
	readers    map[uint64]struct{}
	lastReader uint64

	gather    gather
	earlyFrom time.Time // when records may be early again
	flying    time.Time // when the oldest item of the flush under way was queued
	// queued is the cost of what was accepted and isn't durable, reserved of what
	// was promised.
	queued, reserved int64
	closing          bool
	err              error // set once: the journal is broken
}

// item is something for the committer to write.
type item struct {
	Record
	g    *group
	cost int64
	at   time.Time
	done chan error // nil for records
	off  int64      // where it was written
	// waits says that the payload is on its way outside, ref where it is then.
	waits bool
	late  *time.Timer
	ref   []byte
	// put is what the flush under way has in place of the payload, early that this is
	// not durable yet.
	put   []byte
	early bool
	// names are outside payloads that no record names once the item is durable.
	names []Outside
	// freed are the segments that a checkpoint stops naming.
	freed []*segment
}

// ErrFull is returned when there is no room for a record.
var ErrFull = array.Errorf(array.Full, "the journal is full")

var errClosed = errors.New("the journal is closed")

// Append queues records to be written. Records of a group must come in order
// without gaps. It never waits for the disk. On an error nothing was taken.
func (j *Journal) Append(recs ...Record) error {
	for i := range recs {
		if err := recs[i].validate(j.o.MaxPayload); err != nil {
			return fmt.Errorf("append journal record: %w", err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return fmt.Errorf("append journal record: %w", err)
	}
	if err := j.checkOrder(recs); err != nil {
		return fmt.Errorf("append journal record: %w", err)
	}
	var promised, unpromised int64
	for i := range recs {
		if c := Cost(len(recs[i].Payload)); recs[i].Reserved {
			promised += c
		} else {
			unpromised += c
		}
	}
	if promised > j.reserved {
		return fmt.Errorf("append journal record: %w", array.Errorf(array.Invalid, "%d bytes used of %d reserved", promised, j.reserved))
	}
	if unpromised > 0 && unpromised > j.room(keepForData) {
		return fmt.Errorf("append journal record: %w", ErrFull)
	}
	j.reserved -= promised
	now := j.o.Now()
	for i := range recs {
		r := recs[i]
		g := j.groups[r.Group]
		g.accept(r.Pos)
		if r.Buf != nil {
			r.Buf.Retain()
		}
		it := j.items.Get().(*item)
		it.Record, it.g, it.cost, it.at = r, g, Cost(len(r.Payload)), now
		if r.Outside != nil {
			j.sendOutside(it)
		}
		j.enqueue(it)
	}
	return nil
}

// enqueue adds an item. The caller holds j.mu.
func (j *Journal) enqueue(it *item) {
	j.queue = append(j.queue, it)
	j.queued += it.cost
	if !j.gather.waits || len(j.queue) >= j.gather.want {
		j.wake.Broadcast() // a committer that waits for more would only fall asleep again
	}
}

// usable returns why nothing can be written. The caller holds j.mu.
func (j *Journal) usable() error {
	if j.err != nil {
		return j.err
	}
	if j.closing {
		return errClosed
	}
	return nil
}

// checkOrder refuses records that aren't the next ones of their groups.
func (j *Journal) checkOrder(recs []Record) error {
	var tails map[array.GroupID]array.Position
	if len(recs) > 1 {
		tails = make(map[array.GroupID]array.Position, 1)
	}
	for i := range recs {
		r := &recs[i]
		g := j.groups[r.Group]
		if g == nil {
			return array.Errorf(array.NotFound, "group %s has no journal", r.Group)
		}
		if g.cutting {
			return array.Errorf(array.Conflict, "group %s is being cut", r.Group)
		}
		tail, ok := tails[r.Group]
		if !ok {
			tail = g.tail
		}
		if r.Pos.Place != tail.Place+1 || r.Pos.Epoch < tail.Epoch || r.Pos.Term < tail.Term {
			return array.Errorf(array.Conflict, "record %s of group %s can't follow %s", r.Pos, r.Group, tail)
		}
		if tails != nil {
			tails[r.Group] = r.Pos
		}
	}
	return nil
}

// Oldest returns how long the oldest record that isn't durable yet has waited, 0
// if there is none. A journal whose disk hangs shows here.
func (j *Journal) Oldest(now time.Time) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	var age time.Duration
	if !j.flying.IsZero() {
		age = now.Sub(j.flying)
	}
	if len(j.queue) > 0 { // its payload may be on the way outside while others fly
		age = max(age, now.Sub(j.queue[0].at))
	}
	return age
}

// Groups returns the groups that the journal has, in no order.
func (j *Journal) Groups() []array.GroupID {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := make([]array.GroupID, 0, len(j.groups))
	for id := range j.groups {
		ids = append(ids, id)
	}
	return ids
}

// Bounds returns what is held durably for a group: the records after base up to
// last. They are equal if there are none.
func (j *Journal) Bounds(id array.GroupID) (base, last array.Position, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	g := j.groups[id]
	if g == nil {
		return base, last, false
	}
	return g.base, g.last(), true
}

// Close writes what is queued and closes the files.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closing {
		j.mu.Unlock()
		return errClosed
	}
	j.closing = true
	j.wake.Broadcast()
	j.mu.Unlock()
	<-j.stopped
	j.mu.Lock()
	for j.writers > 0 {
		j.wake.Wait()
	}
	j.mu.Unlock()
	<-j.filled
	errs := []error{j.broken()}
	for _, s := range j.slots {
		errs = append(errs, s.file.Close())
	}
	errs = append(errs, j.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close journal %s: %w", j.dir, err)
	}
	return nil
}

func (j *Journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
