// SPDX-License-Identifier: Apache-2.0

package journal

import "time"

// A record whose payload goes outside would wait for two flushes, one after the other. So
// it may be written while its payload still is: early. Such a flush ends, and its records
// count, when the payloads are durable too. Until then nothing is written behind it. So
// only the last flush on disk can have a record without its payload, and after a restart
// it is looked at: if a payload isn't there the flush is a torn one, of which nothing
// counts, because none of it was said to be durable.
//
// A payload that fails, or takes long, goes to the journal: the flush is written once more
// in its place, with room that was kept for that. Either of the two says the same.

const (
	// earlyFor is how long a flush waits for payloads: others wait behind it.
	earlyFor = 50 * time.Millisecond
	// earlyRest is how long nothing is written early after one that took longer.
	earlyRest = 10 * time.Second
)

// known is told where an item's payload will be.
func (j *Journal) known(it *item, ref []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if it.waits && len(ref) > 0 && len(ref) <= len(it.Payload) {
		it.ref = ref
		j.wake.Broadcast()
	}
}

// giveUp lets an item wait no more; its payload goes to the journal. The caller holds j.mu.
func (it *item) giveUp() {
	if it.waits {
		it.waits, it.ref = false, nil
	}
}

// size is the most that the item takes. The caller holds j.mu.
func (it *item) size() int64 {
	if it.ref != nil && !it.waits {
		return size(len(it.ref))
	}
	return size(len(it.Payload))
}

// lay settles what the flush that begins has of an item. The caller holds j.mu.
func (it *item) lay() { it.put, it.early = it.ref, it.waits }

// body is what the flush has of a record.
func (it *item) body() []byte {
	if it.put != nil {
		return it.put
	}
	return it.Payload
}

// mayBeEarly reports whether records may be written before their payloads are durable.
// The caller holds j.mu.
func (j *Journal) mayBeEarly() bool { return time.Now().After(j.earlyFrom) }

// complete waits until the payloads of a flush that was written are durable, and reports
// whether they are where it says.
func (j *Journal) complete(batch []*item) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	w := &waited{batch: batch}
	defer func() { w.over = true }()
	var limit *time.Timer
	whole := true
	for _, it := range batch {
		if !it.early {
			continue
		}
		if it.waits && limit == nil {
			limit = time.AfterFunc(earlyFor, func() { j.tooLong(w) })
			defer limit.Stop()
		}
		for it.waits {
			j.wake.Wait()
		}
		whole = whole && it.ref != nil
		it.lay()
	}
	return whole
}

// waited is a flush whose payloads are waited for. A timer that has gone off already can't be
// stopped: it may come when that is over, and the items serve other records.
type waited struct {
	batch []*item
	over  bool // guarded by Journal.mu
}

// tooLong ends the wait for what is still on its way.
func (j *Journal) tooLong(w *waited) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.over {
		return
	}
	for _, it := range w.batch {
		if it.early && it.waits {
			it.giveUp()
			j.earlyFrom = time.Now().Add(earlyRest)
		}
	}
	j.wake.Broadcast()
}

// confirm returns where the log ends whose last flush, from start to end, has records that
// were written early: before it, if a payload is not there. What can't be known counts:
// whoever reads it is told.
func (j *Journal) confirm(start, end int64, refs [][]byte) int64 {
	for _, ref := range refs {
		if j.o.Places == nil {
			break
		}
		if whole, err := j.o.Places.Check(ref); err == nil && !whole {
			if j.o.Cut != nil {
				j.o.Cut(len(refs))
			}
			return start
		}
	}
	return end
}
