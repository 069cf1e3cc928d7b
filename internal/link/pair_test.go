// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/pki"
)

// A recorder is a Handler that reports everything on channels.
type recorder struct {
	up     chan *Conn
	down   chan downEvent
	frames chan received
	// handle, if set, takes frames instead of the channel.
	handle func(c *Conn, f Frame)
}

type downEvent struct {
	c   *Conn
	err error
}

type received struct {
	c       *Conn
	f       Frame
	payload string
}

func newRecorder() *recorder {
	return &recorder{up: make(chan *Conn, 100), down: make(chan downEvent, 100), frames: make(chan received, 100000)}
}

func (r *recorder) Up(c *Conn)              { r.up <- c }
func (r *recorder) Down(c *Conn, err error) { r.down <- downEvent{c, err} }
func (r *recorder) Frame(c *Conn, f Frame) {
	if r.handle != nil {
		r.handle(c, f)
		return
	}
	r.frames <- received{c, f, string(f.Payload)}
}

// A side is one array: a server, and a peer once it is opened.
type side struct {
	cfg    Config
	server *Server
	addrs  []string
	rec    *recorder
	peer   *Peer

	said chan error // refusals
}

// A rig is two arrays with links between them. The first one connects.
type rig struct {
	t testing.TB
	a *side
	b *side
}

var patience = 20 * time.Second

// newRig makes two arrays, not yet opened, whose keys are such that a connects.
func newRig(t testing.TB, links int) *rig {
	t.Helper()
	var ids []*pki.Identity
	for range 2 {
		id, err := pki.Create("test", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y *pki.Identity) int {
		p, q := x.Pin(), y.Pin()
		return bytes.Compare(p[:], q[:])
	})
	r := &rig{t: t, a: newSide(t, 1, ids[0], ids[1].Pin(), links), b: newSide(t, 2, ids[1], ids[0].Pin(), links)}
	for i := range links {
		r.a.cfg.Links[i].Remote = r.b.addrs[i]
		r.b.cfg.Links[i].Remote = r.a.addrs[i]
	}
	return r
}

func newSide(t testing.TB, id array.SystemID, identity *pki.Identity, other pki.Pin, links int) *side {
	t.Helper()
	self := Self{System: id, Start: array.StartID{Count: 1, Nonce: uint64(id)}, Name: fmt.Sprint("array", id)}
	s := &side{rec: newRecorder(), server: NewServer(self, identity), said: make(chan error, 1000)}
	s.cfg = Config{
		Self: self, Identity: identity, Key: other, Data: 2, Pool: block.NewPool(64 << 20), Handler: s.rec,
		Limits: Limits{Retry: 50 * time.Millisecond, Ping: 20 * time.Millisecond},
	}
	s.server.Refused = func(_ net.Addr, err error) {
		select {
		case s.said <- err:
		default:
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range links {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addrs = append(s.addrs, l.Addr().String())
		s.cfg.Links = append(s.cfg.Links, LinkConfig{Name: fmt.Sprint(i + 1)})
		wg.Go(func() {
			if err := s.server.Serve(ctx, l); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if s.peer != nil {
			s.server.Remove(s.peer)
			s.peer.Close()
		}
		cancel()
		wg.Wait()
		if used := s.cfg.Pool.Used(); used != 0 {
			t.Errorf("array %v: %d bytes of buffers were not released", id, used)
		}
	})
	return s
}

func (s *side) open(t testing.TB) {
	t.Helper()
	p, err := Open(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.peer = p
	if err := s.server.Add(p); err != nil {
		t.Fatal(err)
	}
	p.Start()
}

func (r *rig) open() {
	r.t.Helper()
	r.b.open(r.t) // first, so that a's first attempt succeeds
	r.a.open(r.t)
}

// wait takes the next event.
func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// allUp waits until both sides may send on n connections.
func (r *rig) allUp(n int) {
	r.t.Helper()
	for _, s := range []*side{r.a, r.b} {
		for range n {
			wait(r.t, s.rec.up, "a connection")
		}
		s.inUse(r.t, n)
	}
}

// inUse waits until frames may be sent on n connections: Up is told just before, and
// what follows it needs no event of its own.
func (s *side) inUse(t testing.TB, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		routes := s.peer.routes.Load()
		used := len(routes.control) + len(routes.data)
		if used >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d connections are used", used, n)
		}
	}
}
