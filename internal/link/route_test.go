// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"errors"
	"testing"
)

// lanePeer is a peer with connections that go nowhere: what is sent stays queued.
func lanePeer(conns int) (*Peer, []*Conn) {
	p := &Peer{}
	p.routes.Store(&routes{})
	var out []*Conn
	for i := range conns {
		c := &Conn{Slot: i + 1, peer: p, link: &linkState{}}
		c.ctx, c.cancel = context.WithCancelCause(context.Background())
		c.queue.start(100, 1<<20)
		out = append(out, c)
	}
	return p, out
}

// one sends a frame with key and returns the connection that it is queued on.
func one(t *testing.T, p *Peer, conns []*Conn, key uint64) *Conn {
	t.Helper()
	before := make([]uint64, len(conns))
	for i, c := range conns {
		before[i] = c.queue.sent()
	}
	if err := p.Send(Frame{Type: 30}, Data(key)); err != nil {
		t.Fatal(err)
	}
	for i, c := range conns {
		if c.queue.sent() > before[i] {
			return c
		}
	}
	t.Fatal("the frame is nowhere")
	return nil
}

func TestLaneMovesOnlyWhenAllWasHandled(t *testing.T) {
	p, c := lanePeer(2)
	p.routes.Store(&routes{data: c[:1]})
	// A key whose lane prefers the second connection once there are two.
	key := uint64(0)
	for laneOf(key)%2 != 1 {
		key++
	}
	for range 3 {
		if got := one(t, p, c, key); got != c[0] {
			t.Fatal("sent on a connection that is not up")
		}
	}
	p.routes.Store(&routes{data: c})
	if got := one(t, p, c, key); got != c[0] {
		t.Error("moved while frames were on their way: they may be overtaken")
	}
	c[0].confirmed.Store(3)
	if got := one(t, p, c, key); got != c[0] {
		t.Error("moved while one frame was on its way")
	}
	c[0].confirmed.Store(5)
	if got := one(t, p, c, key); got != c[1] {
		t.Error("stayed although all was handled")
	}
	// Back to one connection: as before, not before all was handled.
	p.routes.Store(&routes{data: c[:1]})
	if got := one(t, p, c, key); got != c[1] {
		t.Error("left a connection that is avoided, not broken, while a frame was on its way")
	}
	c[1].cancel(errors.New("cut"))
	c[1].queue.close()
	if got := one(t, p, c, key); got != c[0] {
		t.Error("stays on a broken connection")
	}
	p.routes.Store(&routes{})
	c[0].cancel(errors.New("cut"))
	c[0].queue.close()
	if err := p.Send(Frame{Type: 30}, Data(key)); !errors.Is(err, ErrDown) {
		t.Errorf("no connection at all: %v", err)
	}
}

func TestLaneFleesABrokenConnectionAtOnce(t *testing.T) {
	p, c := lanePeer(3)
	p.routes.Store(&routes{data: c})
	first := one(t, p, c, 7)
	first.cancel(errors.New("cut"))
	first.queue.close()
	if second := one(t, p, c, 7); second == first {
		t.Error("the frame went nowhere")
	}
	for _, x := range c {
		x.cancel(errors.New("cut"))
		x.queue.close()
	}
	if err := p.Send(Frame{Type: 30}, Data(7)); !errors.Is(err, ErrDown) {
		t.Errorf("all broken: %v", err)
	}
}

func TestQueueLimits(t *testing.T) {
	var q queue
	q.start(2, 1000)
	f := Frame{Type: 30, Payload: make([]byte, 100)}
	for range 2 {
		if _, err := q.put(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.put(f); !errors.Is(err, ErrFull) {
		t.Errorf("third of two frames: %v", err)
	}
	if _, err := q.put(Frame{Type: typePing}); err != nil {
		t.Errorf("a ping in a full queue: %v", err)
	}
	batch := q.take()
	if _, err := q.put(f); !errors.Is(err, ErrFull) {
		t.Errorf("while the batch is being written: %v", err)
	}
	q.written(batch)
	if n, bytes := q.size(); n != 0 || bytes != 0 {
		t.Errorf("%d frames, %d bytes in an empty queue", n, bytes)
	}
	if _, err := q.put(Frame{Type: 30, Payload: make([]byte, 1000)}); !errors.Is(err, ErrFull) {
		t.Errorf("more bytes than fit: %v", err)
	}
}
