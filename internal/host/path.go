// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"net"
	"time"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

// A path is a portal and the connection to it, if there is one.
type path struct {
	host   *Host
	portal Portal
	index  int
	look   chan struct{} // a token: look at once
}

// errRescan says that the target has other units now.
var errRescan = errors.New("the target's units changed")

// run connects, looks after the connection, and connects again, until the host is
// closed.
func (p *path) run() {
	for p.host.ctx.Err() == nil {
		if c, err := p.connect(); err == nil {
			p.host.stats.logins.Add(1)
			p.serve(c)
			p.host.stats.lost.Add(1)
		}
		select {
		case <-p.host.ctx.Done():
		case <-time.After(p.host.opt.Check):
		}
	}
}

func (p *path) connect() (*initiator.Conn, error) {
	c, err := p.host.opt.Dial(initiator.Config{
		Addr: p.portal.Addr, Target: p.portal.Target, Name: p.host.opt.Name,
		// Random format, one port of the host for each path: a login on one never
		// replaces the session of another.
		ISID:    [6]byte{0x80, 0, 0, 0, 0, byte(p.index)},
		Timeout: p.host.opt.Command, Login: p.host.opt.Silent,
	})
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.Net().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // resets on Close; without it only a promise of this package's is weaker
		_ = tcp.SetNoDelay(true)
	}
	return c, nil
}

// serve uses a connection until it ends.
func (p *path) serve(c *initiator.Conn) {
	defer c.Close()
	for {
		var units []*lane
		if err := p.bounded(c, func() (err error) { units, err = p.discover(c); return err }); err != nil {
			return
		}
		for _, u := range units {
			u.disk.add(u)
		}
		err := p.bounded(c, func() error { return readAll(c, units) })
		if err == nil {
			err = p.watch(c, units)
		}
		for _, u := range units {
			u.disk.remove(u)
		}
		if !errors.Is(err, errRescan) {
			return
		}
	}
}

// readAll reads the states of all units of a new connection.
func readAll(c *initiator.Conn, units []*lane) error {
	for _, u := range units {
		if err := readStates(c, u); err != nil {
			return err
		}
	}
	return nil
}

// watch looks at the path again and again until it fails.
func (p *path) watch(c *initiator.Conn, units []*lane) error {
	t := time.NewTicker(p.host.opt.Check)
	defer t.Stop()
	for {
		select {
		case <-p.host.ctx.Done():
			return p.host.ctx.Err()
		case <-c.Ended():
			return net.ErrClosed
		case <-t.C:
		case <-p.look:
		}
		if err := p.bounded(c, func() error { return check(c, units) }); err != nil {
			return err
		}
	}
}

// bounded runs f, and breaks the connection if it takes longer than an answer may.
func (p *path) bounded(c *initiator.Conn, f func() error) error {
	t := time.AfterFunc(p.host.opt.Silent, c.Close)
	defer t.Stop()
	return f()
}

// nudge asks for a look at once.
func (p *path) nudge() {
	select {
	case p.look <- struct{}{}:
	default: // one is asked for already
	}
}
