// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Target is an iSCSI target node.
type Target struct {
	cfg    Config
	limits Limits
	log    *slog.Logger
	pulse  *pulse

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	portals  []portal
	logins   []*conn // that log in, oldest first
	hosts    map[string]*hostUse
	conns    map[*conn]struct{}
	sessions map[sessionKey]*session
	// renumbered are the relative port ids since they changed, by the place of the group.
	renumbered []uint16
	lastTSIH   uint16
	lastID     uint64
}

// portal is an address that the target listens on.
type portal struct {
	group    PortalGroup
	listener net.Listener
}

// Serve listens on every portal of cfg and serves hosts until Close.
func Serve(cfg Config) (*Target, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("serve iSCSI target: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Target{
		cfg:      cfg,
		limits:   cfg.Limits.withDefaults(),
		log:      cfg.Logger,
		pulse:    newPulse(),
		conns:    make(map[*conn]struct{}),
		sessions: make(map[sessionKey]*session),
		hosts:    make(map[string]*hostUse),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	for _, g := range cfg.Groups {
		lc := net.ListenConfig{Control: listenOptions}
		if g.Movable {
			lc.Control = movableOptions
		}
		for _, addr := range g.Listen {
			l, err := lc.Listen(t.ctx, "tcp", addr)
			if err != nil {
				t.closeListeners()
				t.cancel()
				return nil, fmt.Errorf("serve iSCSI target: listen on %s: %w", addr, err)
			}
			t.portals = append(t.portals, portal{g, l})
		}
	}
	t.wg.Add(1)
	go t.watch()
	for _, p := range t.portals {
		t.wg.Add(1)
		go t.accept(p)
	}
	return t, nil
}

// Addrs returns the addresses listened on, in the order of the configuration.
func (t *Target) Addrs() []net.Addr {
	var out []net.Addr
	for _, p := range t.portals {
		out = append(out, p.listener.Addr())
	}
	return out
}

// Close asks the hosts to log out, gives them until ctx ends, closes what is
// left, and returns when every command is quiet.
func (t *Target) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.closeListeners()
	for _, c := range t.connections() {
		c.askLogout(3 * time.Second)
	}
	idle := make(chan struct{})
	go func() {
		t.drained()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.cancel()
	t.DropAll(errors.New("the target closes"))
	t.wg.Wait()
	<-idle
	return err
}

// DropAll closes every session at once: this array is known to have lost the
// units, and hosts shall fail its paths without waiting.
func (t *Target) DropAll(reason error) {
	for _, c := range t.connections() {
		c.close(reason)
	}
}

// DropGuests closes the sessions that came through the other array's portals: this array no
// longer stands in for it.
func (t *Target) DropGuests(reason error) {
	for _, c := range t.connections() {
		if c.portal.group.Guest != "" {
			c.close(reason)
		}
	}
}

func (t *Target) closeListeners() {
	for _, p := range t.portals {
		p.listener.Close()
	}
}

func (t *Target) connections() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*conn, 0, len(t.conns))
	for c := range t.conns {
		out = append(out, c)
	}
	return out
}

// drained returns when no connection is left.
func (t *Target) drained() {
	for _, c := range t.connections() {
		<-c.ended
	}
}

// accept takes connections of a portal.
func (t *Target) accept(p portal) {
	defer t.wg.Done()
	for {
		nc, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: those there are go on.
			t.log.Warn("accept iSCSI connection", "portal", p.listener.Addr(), "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-t.ctx.Done():
				return
			}
			continue
		}
		t.admit(nc, p)
	}
}

// admit starts a connection if it may come from there, unless too many are logging in.
func (t *Target) admit(nc net.Conn, p portal) {
	if !p.group.Allow.address(nc.RemoteAddr()) {
		nc.Close()
		return
	}
	var victim *conn
	from := origin(nc.RemoteAddr())
	t.mu.Lock()
	if full := len(t.logins) >= t.limits.Logins; t.closed || full {
		if victim = t.crowd(from); victim == nil || t.closed {
			t.mu.Unlock()
			nc.Close()
			return
		}
		t.logins = slices.DeleteFunc(t.logins, func(c *conn) bool { return c == victim })
	}
	c := newConn(t, nc, p)
	c.from = from
	t.logins = append(t.logins, c)
	t.conns[c] = struct{}{}
	t.wg.Add(1)
	t.mu.Unlock()
	if victim != nil {
		victim.close(errCrowded)
	}
	go c.serve()
}

func (t *Target) removeConn(c *conn) {
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
}

// watch beats the pulse and pings quiet hosts.
func (t *Target) watch() {
	defer t.wg.Done()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-ticker.C:
		}
		t.pulse.beat()
		for _, c := range t.connections() {
			c.ping()
		}
	}
}

// movableOptions are listenOptions for an address that this machine may not have yet.
func movableOptions(network, addr string, rc syscall.RawConn) error {
	var serr error
	err := rc.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(listenOptions(network, addr, rc), err, serr)
}

// listenOptions lets a restarted daemon have its portals back at once.
func listenOptions(_, _ string, rc syscall.RawConn) error {
	var serr error
	err := rc.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, serr)
}
