// SPDX-License-Identifier: Apache-2.0

package journal

// Segments kept back: the last one is only ever taken to write the checkpoint that
// frees others; the one before it also takes the journal's own records.
const (
	keepForData    = 2
	keepForControl = 1
	minSlots       = 6
)

// Reserve promises room for records whose Cost adds up to n, or refuses. Each of
// them must be appended with Reserved set, or given back with Unreserve.
func (j *Journal) Reserve(n int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n < 0 || j.usable() != nil || n > j.room(keepForData) {
		return false
	}
	j.reserved += n
	return true
}

// Unreserve gives back n bytes that Reserve promised.
func (j *Journal) Unreserve(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reserved = max(0, j.reserved-n)
}

// room returns the bytes that can still be promised when keep segments stay free.
// It reckons with the worst: every segment begins with a full checkpoint, keeps
// room for another, and its end is lost because the largest record doesn't fit.
// The caller holds j.mu.
func (j *Journal) room(keep int) int64 {
	lost := j.o.checkpointRoom() + Cost(j.o.MaxPayload)
	room := int64(j.free-keep) * (j.o.SegmentSize - segmentHeader - j.o.checkpointRoom() - lost)
	room += max(0, j.o.SegmentSize-j.cur.end-lost)
	return room - j.queued - j.reserved
}

// Usage returns the bytes of all segments, and of those that can take new records.
func (j *Journal) Usage() (total, available int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int64(len(j.slots)) * j.o.SegmentSize, max(0, j.room(keepForData))
}
