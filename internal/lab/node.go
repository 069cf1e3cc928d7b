// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// A Node stands for a machine: a network stack of its own and processes on it.
type Node struct {
	lab    *Lab
	name   string
	index  int
	thread *thread

	mu    sync.Mutex
	procs []*Proc
	runs  int // how many processes were started, for the names of logs
}

// attach plugs the node into a network.
func (n *Node) attach(w *Network, name string) error {
	if w == nil {
		return fmt.Errorf("attach to network %s: no such network", name)
	}
	p := &port{node: n, device: fmt.Sprintf("p%d.%d", w.index, n.index)}
	err := n.lab.inside.do(func() (err error) {
		if err = makeVeth(p.device, w.name, n.thread.ns); err != nil {
			return err
		}
		if err = setUp(p.device, true); err != nil {
			return err
		}
		p.frames, err = openPort(p.device)
		return err
	})
	if err == nil {
		err = n.thread.do(func() error {
			return errors.Join(setAddress(w.name, address(w.index, n.index)), setUp(w.name, true))
		})
	}
	if err != nil {
		return fmt.Errorf("attach to network %s: %w", name, err)
	}
	w.plug(p)
	go w.forward(p)
	return nil
}

// Addr returns the node's address on a network, the zero Addr if it is not
// attached.
func (n *Node) Addr(network string) netip.Addr {
	n.lab.mu.Lock()
	w := n.lab.network(network)
	n.lab.mu.Unlock()
	if w == nil || w.portOf(n) == nil {
		return netip.Addr{}
	}
	return address(w.index, n.index)
}

// Lend takes the node's addresses off its devices, which stay up: a kernel of its own that
// runs on the node, on raw sockets on these devices, may have them. Addr goes on telling
// them.
func (n *Node) Lend() error {
	n.lab.mu.Lock()
	networks := append([]*Network(nil), n.lab.networks...)
	n.lab.mu.Unlock()
	return n.thread.do(func() error {
		for _, w := range networks {
			if w.portOf(n) == nil {
				continue
			}
			if err := clearAddress(w.name); err != nil {
				return fmt.Errorf("lend %s of %s: %w", w.name, n.name, err)
			}
		}
		return nil
	})
}

// Plug connects or disconnects the node's cable: the device loses its carrier,
// which programs may notice, unlike a Cut.
func (n *Node) Plug(network string, in bool) error {
	n.lab.mu.Lock()
	w := n.lab.network(network)
	n.lab.mu.Unlock()
	if w != nil {
		if p := w.portOf(n); p != nil {
			n.lab.opt.Logf("lab: plug %s into %s: %v", n.name, network, in)
			return n.lab.inside.do(func() error { return setUp(p.device, in) })
		}
	}
	return fmt.Errorf("plug %s into %s: %w", n.name, network, errNoWire)
}

// Do runs f as if on the node: sockets that it opens itself, not in goroutines,
// are the node's for good.
func (n *Node) Do(f func() error) error { return n.thread.visit(f) }

// DialContext connects from the node. The address must be numeric.
func (n *Node) DialContext(ctx context.Context, network, addr string) (c net.Conn, err error) {
	if _, perr := netip.ParseAddrPort(addr); perr != nil {
		return nil, fmt.Errorf("dial from %s: %w", n.name, perr)
	}
	err = n.Do(func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// Listen listens on the node.
func (n *Node) Listen(network, addr string) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		l, err = net.Listen(network, addr)
		return err
	})
	return l, err
}

// Expose listens on an address of the real machine, such as 127.0.0.1:8080, and
// passes connections on to an address that the node reaches. It returns the
// address listened on.
func (n *Node) Expose(listen, target string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("expose %s of %s: %w", target, n.name, err)
	}
	n.lab.mu.Lock()
	n.lab.closers = append(n.lab.closers, func() { _ = l.Close() })
	n.lab.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.relay(c, target)
		}
	}()
	return l.Addr().String(), nil
}

func (n *Node) relay(outer net.Conn, target string) {
	defer outer.Close()
	inner, err := n.DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer inner.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(inner, outer)
		_ = inner.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(outer, inner)
	_ = outer.(*net.TCPConn).CloseWrite()
	<-done
}
