// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net"
	"sync"
)

// places are those that connections take, of all listeners; from one address not all of them, so
// that a stranger who fills his does not shut out the others.
type places struct {
	free    chan struct{}
	fromOne int

	mu   sync.Mutex
	from map[string]int
}

func newPlaces(all, fromOne int) *places {
	return &places{free: make(chan struct{}, all), fromOne: fromOne, from: map[string]int{}}
}

// enter takes a place for a connection, which has one of free already; it reports whether there is
// one for its address.
func (p *places) enter(from string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from[from] >= p.fromOne {
		return false
	}
	p.from[from]++
	return true
}

func (p *places) leave(from string) {
	p.mu.Lock()
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
	p.mu.Unlock()
	<-p.free
}

// bounded is a listener that takes no connection while there are too many.
type bounded struct {
	net.Listener
	places *places
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, p *places) *bounded {
	return &bounded{Listener: l, places: p, closed: make(chan struct{})}
}

// Accept waits for a place first: who comes meanwhile waits in the kernel's queue. Who has as many
// as one address may have is hung up on.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places.free <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			<-b.places.free
			return nil, err
		}
		from, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil {
			from = c.RemoteAddr().String()
		}
		if b.places.enter(from) {
			return &placed{Conn: c, leave: sync.OnceFunc(func() { b.places.leave(from) })}, nil
		}
		_ = c.Close()
	}
}

// Close ends Accept.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// placed gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
