// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perdure/perdure/internal/pki"
)

// ServerConfig is what a Server needs. All fields but Now are required.
type ServerConfig struct {
	Identity *pki.Identity
	Store    *Store
	Clients  []ClientKey
	Version  string // of the program, for Status
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// A Server offers a store over HTTPS. Its incarnation is drawn when it is made.
type Server struct {
	cfg         ServerConfig
	incarnation Incarnation
	started     time.Time
	clients     clients
	mux         *http.ServeMux
}

// NewServer returns a server that does not listen yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, incarnation: NewIncarnation(), started: cfg.Now(), mux: http.NewServeMux()}
	if err := s.clients.set(cfg.Clients); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET /v1/status", s.only(s.status))
	s.mux.HandleFunc("POST /v1/read", s.only(s.read))
	s.mux.HandleFunc("POST "+swapPath, s.only(s.swap))
	return s, nil
}

// Incarnation returns the name of this run.
func (s *Server) Incarnation() Incarnation { return s.incarnation }

// SetClients replaces the clients. Registers keep their owners.
func (s *Server) SetClients(list []ClientKey) error { return s.clients.set(list) }

// Serve answers on the listeners until ctx ends, a listener fails or the store
// breaks. It closes the listeners and returns nil only for the first.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	srv := &http.Server{
		Handler:           s,
		Protocols:         &protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	// Strangers are let through the handshake and told no in words: people who
	// paste keys want to know which one was shown.
	conf := s.cfg.Identity.OpenServer(pki.Any)
	g, running := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error {
			if err := srv.Serve(tls.NewListener(limit(l), conf)); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on %v: %w", l.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error { return s.watchStore(running) })
	g.Go(func() error {
		<-running.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			return srv.Close() // a client kept a request open; it will repeat it
		}
		return nil
	})
	return g.Wait()
}

// watchStore fails when the store breaks, so that the daemon ends and its
// supervisor starts a new one, in a new incarnation.
func (s *Server) watchStore(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.cfg.Store.failed:
		return s.cfg.Store.Broken()
	}
}

// ServeHTTP answers one request; it makes the server usable without Serve.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}
