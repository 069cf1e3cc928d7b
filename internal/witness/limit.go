// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections are open at a time: in all, and from one address, so that
// nobody keeps the arrays out by connecting without a word.
const (
	maxConns        = 512
	maxConnsAddress = 32
)

// A limited listener closes connections beyond the limits at once.
type limited struct {
	net.Listener
	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

func limit(l net.Listener) *limited { return &limited{Listener: l, from: map[netip.Addr]int{}} }

// Accept returns the next connection within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addressOf(c)
		if l.enter(addr) {
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		_ = c.Close()
	}
}

func (l *limited) enter(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConns || l.from[a] >= maxConnsAddress {
		return false
	}
	l.all++
	l.from[a]++
	return true
}

func (l *limited) leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[a]--; l.from[a] == 0 {
		delete(l.from, a)
	}
}

func addressOf(c net.Conn) netip.Addr {
	if ap, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close closes the connection and makes room for another.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
