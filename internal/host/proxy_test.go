// SPDX-License-Identifier: Apache-2.0

package host

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy passes connections on until it is muted; then it swallows everything
// without ending any, as a dead network does.
type proxy struct {
	addr   string
	listen net.Listener

	mu    sync.Mutex
	muted chan struct{}
	conns []net.Conn
	wg    sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), listen: l, muted: make(chan struct{})}
	p.wg.Go(func() { p.accept(to) })
	t.Cleanup(p.close)
	return p
}

func (p *proxy) accept(to string) {
	for {
		c, err := p.listen.Accept()
		if err != nil {
			return
		}
		d, err := net.Dial("tcp", to)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, d)
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(d, c) })
		p.wg.Go(func() { p.pass(c, d) })
	}
}

func (p *proxy) pass(to, from net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			if err == io.EOF {
				_ = to.Close()
			}
			return
		}
		select {
		case <-p.muted:
			continue
		default:
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) mute() { close(p.muted) }

func (p *proxy) close() {
	_ = p.listen.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
