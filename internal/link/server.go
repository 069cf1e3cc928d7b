// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// maxGreeting is how many connections may be between connecting and greeting at a
// time; more are closed at once.
const maxGreeting = 64

// maxGreetingFrom is how many of them may come from one address, so that a stranger
// who says nothing doesn't keep the other array out.
const maxGreetingFrom = 16

// A Server accepts connections for all of an array's relations.
type Server struct {
	self     Self
	identity *pki.Identity
	// Refused, if set before Serve, hears of every connection that came to nothing.
	Refused func(remote net.Addr, err error)
	// Timeout bounds TLS and greeting; 5 s if zero at Serve.
	Timeout time.Duration

	mu       sync.Mutex
	peers    map[pki.Pin]*Peer
	greeting map[net.Conn]bool
	wg       sync.WaitGroup
}

// NewServer returns a server without relations.
func NewServer(self Self, identity *pki.Identity) *Server {
	return &Server{self: self, identity: identity, peers: map[pki.Pin]*Peer{}, greeting: map[net.Conn]bool{}}
}

// Add lets the relation's other array connect. Remove it before closing the Peer.
func (s *Server) Add(p *Peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[p.Key()] != nil {
		return array.Errorf(array.Exists, "add relation: there is one with the key %v already", p.Key())
	}
	s.peers[p.Key()] = p
	return nil
}

// Remove refuses further connections of the relation's other array.
func (s *Server) Remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[p.Key()] == p {
		delete(s.peers, p.Key())
	}
}

// Serve accepts connections until ctx ends, which returns nil, or the listener
// fails. Established connections are their Peer's and go on.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer s.wg.Wait()
	defer s.dropGreeting()
	for {
		raw, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept links on %v: %w", l.Addr(), err)
			}
			// Out of descriptors, most likely: it passes.
			s.refused(l.Addr(), fmt.Errorf("accept: %w", err))
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if !s.enter(raw) {
			_ = raw.Close()
			s.refused(raw.RemoteAddr(), array.Errorf(array.Busy, "refuse connection: too many others are being greeted, at most %d and %d from one address", maxGreeting, maxGreetingFrom))
			continue
		}
		s.wg.Go(func() { s.greet(ctx, raw) })
	}
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.greeting) >= maxGreeting {
		return false
	}
	same := 0
	for o := range s.greeting {
		if hostOf(o) == hostOf(c) {
			same++
		}
	}
	if same >= maxGreetingFrom {
		return false
	}
	s.greeting[c] = true
	return true
}

// hostOf returns the address a connection comes from, without the port.
func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

func (s *Server) dropGreeting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.greeting {
		_ = c.Close()
	}
}

func (s *Server) refused(from net.Addr, err error) {
	if s.Refused != nil {
		s.Refused(from, err)
	}
}

// greet takes a connection up to both greetings and gives it to its Peer.
func (s *Server) greet(ctx context.Context, raw net.Conn) {
	c, err := s.greetAsServer(ctx, raw)
	s.mu.Lock()
	delete(s.greeting, raw)
	s.mu.Unlock()
	if err != nil {
		_ = raw.Close()
		s.refused(raw.RemoteAddr(), err)
		return
	}
	p := c.peer
	// The Peer's goroutine from here on, unless it was closed in the meantime.
	if !p.start(func() {
		c.link.connected()
		c.link.failed(p.carry(c))
	}) {
		c.close(ErrClosed)
		s.refused(raw.RemoteAddr(), errGone)
	}
}

func (s *Server) greetAsServer(ctx context.Context, raw net.Conn) (*Conn, error) {
	limit := s.Timeout
	if limit <= 0 {
		limit = 5 * time.Second
	}
	if err := prepare(raw, limit, limit); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	batch := newBatchConn(raw, limit)
	// Any key may speak: a foreign one is told no in words.
	conf := s.identity.Server(pki.Any)
	conf.DynamicRecordSizingDisabled = true
	conn := tls.Server(batch, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("greet: TLS: %w", err)
	}
	// Read before any refusal: closing a socket with something unread in it would
	// throw away the words that explain it.
	h, err := readGreeting(conn)
	if err != nil {
		return nil, refuse(conn, "%v", err)
	}
	pin, _ := pki.PeerPin(conn.ConnectionState())
	s.mu.Lock()
	p := s.peers[pin]
	s.mu.Unlock()
	if p == nil {
		return nil, refuse(conn, "array %v has no relation with the key %v", s.self.System, pin)
	}
	if p.cfg.connects() {
		return nil, refuse(conn, "it is the side that connects")
	}
	if err := p.judge(h); err != nil {
		return nil, refuse(conn, "%v", err)
	}
	l := p.linkNamed(h.link)
	if l == nil { // dismissed since
		return nil, refuse(conn, "array %v has no link named %q", s.self.System, h.link)
	}
	mine := &hello{self: p.cfg.Self, link: h.link, slot: h.slot}
	if err := writeGreeting(conn, typeHello, mine.encode()); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	batch.timeout = p.cfg.Limits.Write
	if err := prepare(raw, p.cfg.Limits.Write, limit); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	return p.newConn(conn, batch, l, h), raw.SetDeadline(time.Time{})
}

// start runs f as one of the peer's goroutines, unless the peer is closed.
func (p *Peer) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}
