// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// maxCalls bounds the requests under way in each direction.
const maxCalls = 64

// Calls are requests with answers, over a relation whose frames are somebody's. Its user
// hands it the frames of its two types, and tells it when the other array is lost.
type Calls struct {
	peer        *Peer
	class       Class
	ask, answer Type
	serve       func(body []byte) []byte
	log         *slog.Logger
	serving     chan struct{} // a place for each request of the other array that is being answered
	id          atomic.Uint64
	mu          sync.Mutex
	waiting     map[uint64]chan []byte
}

// NewCalls returns the requests that travel as frames of the type ask, with answers of the
// type answer, both in one class. Serve answers those of the other array, each in a goroutine
// of its own; nil answers them with nothing.
func NewCalls(p *Peer, class Class, ask, answer Type, serve func(body []byte) []byte, log *slog.Logger) *Calls {
	c := &Calls{peer: p, class: class, ask: ask, answer: answer, serve: serve, log: log, serving: make(chan struct{}, maxCalls), waiting: map[uint64]chan []byte{}}
	// An answer to a former process's request, or to one of another contact, is nobody's.
	var b [8]byte
	_, _ = rand.Read(b[:])
	c.id.Store(binary.BigEndian.Uint64(b[:]) >> 2)
	return c
}

// Ask sends a request to the other array and waits for the answer. If that does not come, the
// request may have been carried out.
func (c *Calls) Ask(ctx context.Context, body []byte) ([]byte, error) {
	id := c.id.Add(1)
	ch := make(chan []byte, 1)
	c.mu.Lock()
	full := len(c.waiting) >= maxCalls
	if !full {
		c.waiting[id] = ch
	}
	c.mu.Unlock()
	if full {
		return nil, array.Errorf(array.Busy, "too many commands wait for the other array")
	}
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.peer.Send(Frame{Type: c.ask, Offset: int64(id), Payload: body}, c.class); err != nil {
		return nil, &array.Error{Kind: array.Unavailable, Text: "the other array can't be asked", Err: err}
	}
	select {
	case b, ok := <-ch:
		if !ok {
			return nil, array.Errorf(array.Unavailable, "the other array was lost before it answered")
		}
		return b, nil
	case <-ctx.Done():
		return nil, &array.Error{Kind: array.Unavailable, Text: "the other array did not answer", Err: ctx.Err()}
	}
}

// Frame takes a frame if it is one of a request or an answer.
func (c *Calls) Frame(f Frame) bool {
	switch f.Type {
	case c.ask:
		c.answerTo(f)
	case c.answer:
		c.take(f)
	default:
		return false
	}
	return true
}

// answerTo answers in a goroutine of its own: commands may take long.
func (c *Calls) answerTo(f Frame) {
	select {
	case c.serving <- struct{}{}:
	default:
		c.log.Warn("the other array asks too much at once; its request is left without an answer", "most", cap(c.serving))
		return
	}
	body := append([]byte(nil), f.Payload...)
	go func() {
		defer func() { <-c.serving }()
		var out []byte
		if c.serve != nil {
			out = c.serve(body)
		}
		if err := c.peer.Send(Frame{Type: c.answer, Offset: f.Offset, Payload: out}, c.class); err != nil {
			c.log.Warn("answer the other array", "err", err)
		}
	}()
}

func (c *Calls) take(f Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.waiting[uint64(f.Offset)]
	if ch != nil {
		delete(c.waiting, uint64(f.Offset))
		ch <- append([]byte(nil), f.Payload...) // has room for one
	}
}

// closeWithin is how long requests that are being answered may take when the relation ends.
const closeWithin = 5 * time.Second

// Close waits until no request of the other array is being answered, so that what it is
// answered from can be closed; not for ever. It comes after the relation's end, when no more
// arrive.
func (c *Calls) Close() {
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	for range cap(c.serving) {
		select {
		case c.serving <- struct{}{}:
		case <-late.C:
			c.log.Warn("requests of the other array are still being answered")
			return
		}
	}
}

// Lost ends the wait for all answers: nobody will give them.
func (c *Calls) Lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, ch := range c.waiting {
		delete(c.waiting, id)
		close(ch)
	}
}
