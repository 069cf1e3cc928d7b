// SPDX-License-Identifier: Apache-2.0

package link

import (
	"sync"
)

// A queue holds the frames of one connection that are not written yet.
type queue struct {
	maxFrames int
	maxBytes  int64

	mu     sync.Mutex
	wake   sync.Cond // L is mu
	frames []Frame
	spare  []Frame // the batch before, to be filled again
	n      int     // frames queued or being written
	bytes  int64   // likewise
	seq    uint64  // number of frames ever queued
	closed bool
}

func (q *queue) start(maxFrames int, maxBytes int64) {
	q.maxFrames, q.maxBytes = maxFrames, maxBytes
	q.wake.L = &q.mu
}

// put queues f and returns its number. The link's own frames always find room:
// there are never more than a few.
func (q *queue) put(f Frame) (uint64, error) {
	size := int64(HeaderSize + len(f.Payload))
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, ErrDown
	}
	if f.Type >= FirstType && (q.n >= q.maxFrames || q.bytes+size > q.maxBytes) {
		return 0, ErrFull
	}
	if f.Buf != nil {
		f.Buf.Retain()
	}
	q.frames = append(q.frames, f)
	q.n++
	q.bytes += size
	q.seq++
	if len(q.frames) == 1 {
		q.wake.Signal()
	}
	return q.seq, nil
}

// take waits for frames and returns all of them, nil once the queue is closed.
func (q *queue) take() []Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.frames) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return nil
	}
	batch := q.frames
	q.frames, q.spare = q.spare[:0], nil
	return batch
}

// written gives back a batch that is out of the queue's hands.
func (q *queue) written(batch []Frame) {
	var bytes int64
	for i := range batch {
		bytes += int64(HeaderSize + len(batch[i].Payload))
	}
	release(batch)
	q.mu.Lock()
	q.n -= len(batch)
	q.bytes -= bytes
	if cap(batch) <= 4096 {
		q.spare = batch[:0]
	}
	q.mu.Unlock()
}

// close drops what is queued.
func (q *queue) close() {
	q.mu.Lock()
	frames := q.frames
	q.frames, q.closed = nil, true
	q.wake.Broadcast()
	q.mu.Unlock()
	release(frames)
}

// sent returns the number of the last frame that was queued.
func (q *queue) sent() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.seq
}

func (q *queue) size() (frames int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n, q.bytes
}

func release(frames []Frame) {
	for i := range frames {
		if frames[i].Buf != nil {
			frames[i].Buf.Release()
		}
		frames[i] = Frame{}
	}
}
