// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
)

// keepConnected connects one slot of a link, again and again.
func (p *Peer) keepConnected(l *linkState, slot int) {
	const first = 20 * time.Millisecond
	wait := first
	for l.ctx.Err() == nil {
		c, err := p.connect(l, slot)
		if err == nil {
			l.connected()
			p.answered.tell(time.Now(), p.cfg.Limits.Retry)
			err = p.carry(c)
			wait = first
		}
		if l.ctx.Err() != nil {
			return
		}
		l.failed(err)
		switch {
		case errors.As(err, new(*RefusedError)):
			wait = p.cfg.Limits.Retry // it will not think better of it at once
		case timedOut(err):
			wait = first // the attempt itself was the pause
		}
		// Some chance keeps the slots of a broken link from knocking in step.
		pause := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-pause.C:
		case <-p.answered.heard():
			wait = first
		case <-l.ctx.Done():
		}
		pause.Stop()
		wait = min(2*wait, p.cfg.Limits.Retry)
	}
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// connect makes one connection up to both greetings.
func (p *Peer) connect(l *linkState, slot int) (*Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, p.cfg.Limits.Connect)
	defer cancel()
	d := net.Dialer{Timeout: p.cfg.Limits.Dial}
	if l.cfg.Local != "" {
		ip := net.ParseIP(l.cfg.Local)
		if ip == nil {
			return nil, array.Errorf(array.Invalid, "connect link %s: local address %q: want an IP address", l.cfg.Name, l.cfg.Local)
		}
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	raw, err := d.DialContext(ctx, "tcp", l.cfg.Remote)
	if err != nil {
		return nil, fmt.Errorf("connect link %s: %w", l.cfg.Name, err)
	}
	c, err := p.greetAsClient(ctx, raw, l, slot)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("connect link %s to %s: %w", l.cfg.Name, l.cfg.Remote, err)
	}
	return c, nil
}

func (p *Peer) greetAsClient(ctx context.Context, raw net.Conn, l *linkState, slot int) (*Conn, error) {
	if err := prepare(raw, p.cfg.Limits.Write, p.cfg.Limits.Connect); err != nil {
		return nil, err
	}
	batch := newBatchConn(raw, p.cfg.Limits.Write)
	conf := p.cfg.Identity.Client(p.notMyself)
	conf.DynamicRecordSizingDisabled = true // small records would be for browsers
	conn := tls.Client(batch, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	mine := &hello{self: p.cfg.Self, link: l.cfg.Name, slot: uint8(slot)}
	if err := writeGreeting(conn, typeHello, mine.encode()); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	theirs, err := readGreeting(conn)
	if err != nil {
		return nil, err
	}
	if err := p.judge(theirs); err != nil {
		return nil, err
	}
	return p.newConn(conn, batch, l, theirs), raw.SetDeadline(time.Time{})
}

// notMyself accepts the other array's key, and tells a link that leads back here from
// one that leads to a stranger.
func (p *Peer) notMyself(got pki.Pin) error {
	if got == p.cfg.Identity.Pin() {
		return array.Errorf(array.Conflict, "this array itself answers there: a link leads to the other array")
	}
	return pki.Only(p.cfg.Key)(got)
}

// judge says what is wrong with what the other side says of itself.
func (p *Peer) judge(h *hello) error {
	switch {
	case h.self.System == p.cfg.Self.System:
		return array.Errorf(array.Conflict, "both arrays have the system id %v: give one of them another", h.self.System)
	case p.cfg.System != 0 && h.self.System != p.cfg.System:
		return array.Errorf(array.Conflict, "array %v (%q) answers where %v is expected", h.self.System, h.self.Name, p.cfg.System)
	case p.linkNamed(h.link) == nil:
		return array.Errorf(array.Conflict, "array %v has no link named %q to array %v", p.cfg.Self.System, h.link, h.self.System)
	}
	return nil
}

func (p *Peer) newConn(conn *tls.Conn, raw *batchConn, l *linkState, h *hello) *Conn {
	c := &Conn{
		Link: l.cfg.Name, Slot: int(h.slot), Peer: h.self,
		peer: p, link: l, tls: conn, raw: raw, done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.queue.start(p.cfg.Limits.QueueFrames, p.cfg.Limits.QueueBytes)
	return c
}

// prepare sets a socket up: a deadline for the handshake, and the kernel's own
// watch over data that the peer does not acknowledge. Its keepalive is off: beside that watch
// the kernel would break a connection 15 seconds after one question of it was lost, long after
// the link is good again. Pings look after idle connections.
func prepare(raw net.Conn, write, connect time.Duration) error {
	if err := raw.SetDeadline(time.Now().Add(connect)); err != nil {
		return err
	}
	t, ok := raw.(*net.TCPConn)
	if !ok {
		return nil
	}
	sc, err := t.SyscallConn()
	if err != nil {
		return err
	}
	if err := t.SetKeepAlive(false); err != nil {
		return err
	}
	var opt error
	err = sc.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(write.Milliseconds()))
	})
	return errors.Join(err, opt)
}
