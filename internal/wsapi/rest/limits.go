// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// maxConns bounds connections, maxCalls requests under way, maxStreams those that
	// stay for events, maxLogins passwords that are looked at, all of all clients.
	maxConns   = 512
	maxCalls   = 64
	maxStreams = 32
	maxLogins  = 2
	// maxBody and maxHeader bound what a request has, in bytes.
	maxBody   = 256 << 10
	maxHeader = 32 << 10
	// callWithin is how long a request may take, waitWithin how long it waits for its
	// turn.
	callWithin = 2 * time.Minute
	waitWithin = 5 * time.Second
	// headerWithin, readWithin and idleWithin bound what a slow client may take.
	headerWithin = 10 * time.Second
	readWithin   = 30 * time.Second
	idleWithin   = 2 * time.Minute
	// writeWithin is for one piece of an answer.
	writeWithin = 30 * time.Second
)

// turns lets so many in at a time.
type turns chan struct{}

func (t turns) take(ctx context.Context, wait time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (t turns) give() { <-t }

// bounded is a listener that takes no connection while there are too many.
type bounded struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, places chan struct{}) *bounded {
	return &bounded{Listener: l, places: places, closed: make(chan struct{})}
}

// Accept waits for a place first: who comes meanwhile waits in the kernel's queue.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
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
