// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/table"
)

// Users says who somebody is.
type Users interface {
	Login(user, password, from string, now time.Time) (people.Session, error)
	HasKey(user string, blob []byte) bool
	ByKey(user string, blob []byte, from string, now time.Time) (people.Session, error)
	Session(key string, now time.Time) (people.Session, error)
	Logout(key string)
}

// Config is what the server needs.
type Config struct {
	// Name is the array's, and begins its prompts.
	Name   string
	Listen []string
	// Keys are the array's own.
	Keys  *hostkey.Keys
	Users Users
	// Run carries a command out for one who has logged in.
	Run func(ctx context.Context, by people.Session, words []string, style table.Style) (string, error)
	// Logger is told of defects.
	Logger *slog.Logger
	// Limits of zero are the usual ones.
	Limits Limits
}

// Limits bound what clients can take.
type Limits struct {
	// Connections are all, Strangers those that have not logged in yet, half of which may
	// come from one address, Channels those of one connection.
	Connections, Strangers, Channels int
	// Tries is how often one connection may try to log in, within Login.
	Tries int
	Login time.Duration
	// Idle ends a connection that nothing came from, and that runs nothing.
	Idle time.Duration
	// Ahead is how long a shell with a terminal waits, before its first prompt, for what
	// was typed ahead; Quiet is how long nothing more must come.
	Ahead, Quiet time.Duration
}

func (l Limits) filled() Limits {
	number := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	number(&l.Connections, 64)
	number(&l.Strangers, 16)
	number(&l.Channels, 8)
	number(&l.Tries, 6)
	span(&l.Login, 30*time.Second)
	span(&l.Idle, 30*time.Minute)
	span(&l.Ahead, 500*time.Millisecond)
	span(&l.Quiet, 100*time.Millisecond)
	return l
}

// Server serves until Close.
type Server struct {
	cfg    Config
	limits Limits
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[net.Conn]bool // true: logged in
	closed    bool
}

// Open listens, and serves until Close.
func Open(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, limits: cfg.Limits.filled(), conns: map[net.Conn]bool{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, a := range cfg.Listen {
		l, err := net.Listen("tcp", a)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("listen for SSH: %w", err)
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
	return s, nil
}

// Addrs returns the addresses listened on.
func (s *Server) Addrs() (all []net.Addr) {
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// closeWithin is how long Close waits for commands that go on though nobody waits for them.
const closeWithin = 5 * time.Second

// Close ends all connections, and with them the commands they gave.
func (s *Server) Close() {
	s.stop()
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { // ends with the last command
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeWithin):
	}
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many open files, or a client that is gone again
			select {
			case <-s.ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if !s.admit(c) {
			_ = c.Close()
			continue
		}
		s.wg.Go(func() {
			defer s.forget(c)
			s.serve(c)
		})
	}
}

// admit counts a connection, if there may be one more.
func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	strangers, same := 0, 0
	for o, known := range s.conns {
		if !known {
			strangers++
			if hostOf(o) == hostOf(c) {
				same++
			}
		}
	}
	if s.closed || len(s.conns) >= s.limits.Connections || strangers >= s.limits.Strangers || 2*same >= s.limits.Strangers {
		return false
	}
	s.conns[c] = false
	return true
}

func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

func (s *Server) forget(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) known(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = true
}

const (
	// What a login leaves with the connection: the session it began, or the key it proved.
	sessionLeft = "session"
	keyLeft     = "key"
)

// errDenied is all that a stranger hears.
var errDenied = errors.New("permission denied")

// config is made for each connection: its callbacks say who let it in.
func (s *Server) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		MaxAuthTries:  s.limits.Tries,
		ServerVersion: "SSH-2.0-Perdure",
		PasswordCallback: func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			x, err := s.cfg.Users.Login(m.User(), string(password), m.RemoteAddr().String(), time.Now())
			if err != nil {
				return nil, errDenied
			}
			return &ssh.Permissions{Extensions: map[string]string{sessionLeft: x.Key}}, nil
		},
		PublicKeyCallback: func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !s.cfg.Users.HasKey(m.User(), key.Marshal()) {
				return nil, errDenied
			}
			return &ssh.Permissions{Extensions: map[string]string{keyLeft: string(key.Marshal())}}, nil
		},
	}
	for _, k := range s.cfg.Keys.Current() {
		c.AddHostKey(k)
	}
	return c
}

// serve is one connection.
func (s *Server) serve(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(s.limits.Login))
	c, channels, requests, err := ssh.NewServerConn(nc, s.config())
	if err != nil {
		return
	}
	defer c.Close()
	key, ok := s.session(c)
	if !ok {
		return
	}
	defer s.cfg.Users.Logout(key)
	_ = nc.SetDeadline(time.Time{})
	s.known(nc)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	idle := newIdle(s.limits.Idle, func() { _ = c.Close() })
	defer idle.stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	asked := s.offer(c, requests)
	wg.Go(asked.serve)
	free := make(chan struct{}, s.limits.Channels)
	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.UnknownChannelType, "only sessions are offered")
			continue
		}
		select {
		case free <- struct{}{}:
		default:
			_ = n.Reject(ssh.ResourceShortage, "too many sessions on this connection")
			continue
		}
		wg.Go(func() {
			defer func() { <-free }()
			ch, requests, err := n.Accept()
			if err != nil {
				return
			}
			x := &session{server: s, key: key, ch: ch, idle: idle, asked: asked}
			x.serve(ctx, requests)
		})
	}
	cancel() // before the channels are waited for
}

// session returns the key of the session that a login began.
func (s *Server) session(c *ssh.ServerConn) (key string, ok bool) {
	if c.Permissions == nil {
		return "", false
	}
	if key = c.Permissions.Extensions[sessionLeft]; key != "" {
		return key, true
	}
	blob := c.Permissions.Extensions[keyLeft]
	if blob == "" {
		return "", false
	}
	x, err := s.cfg.Users.ByKey(c.User(), []byte(blob), c.RemoteAddr().String(), time.Now())
	return x.Key, err == nil
}
