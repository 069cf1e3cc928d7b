// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/priority"
	"github.com/perdure/perdure/internal/witness"
)

type runCmd struct {
	Config string     `help:"Configuration file." short:"c" type:"path" default:"${config}"`
	Level  slog.Level `help:"Least level to log: debug, info, warn or error." name:"log-level" default:"info"`
}

// Run serves until the process is told to stop.
func (r *runCmd) Run(s *session) error {
	logger := slog.New(slog.NewTextHandler(s.errOut, &slog.HandlerOptions{Level: r.Level}))
	c, err := loadConfig(r.Config)
	if err != nil {
		return err
	}
	if c.Nice != 0 {
		if err := priority.Raise(c.Nice); err != nil {
			logger.Warn("raise the priority: on a busy machine arrays may miss this witness", "err", err)
		}
	}
	id, err := pki.Load(c.State)
	if err != nil {
		return fmt.Errorf("%w; 'perdure-witness init' creates the key", err)
	}
	store, err := witness.OpenStore(c.State, c.RegistersPerPair)
	if err != nil {
		return err
	}
	srv, err := witness.NewServer(witness.ServerConfig{
		Identity: id, Store: store, Clients: c.clients(), Version: array.Version, Logger: logger,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", r.Config, err), store.Close())
	}
	return errors.Join(r.serve(s.ctx, c, id, srv, logger), store.Close())
}

func (r *runCmd) serve(ctx context.Context, c *config, id *pki.Identity, srv *witness.Server, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	var listeners []net.Listener
	for _, a := range c.Listen {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return fmt.Errorf("listen of the configuration: %w; want host:port with an address of this machine on which nothing else listens", err)
		}
		listeners = append(listeners, l)
		logger.Info("listening", "address", l.Addr().String())
	}
	logger.Info("witness started", "version", array.Version, "incarnation", srv.Incarnation(), "key", id.Pin(), "arrays", len(c.Arrays))
	if w := pki.Expiry(id.Certificate(), time.Now()); w != "" {
		logger.Warn(w)
	}

	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, listeners...) }()
	for {
		select {
		case err := <-done:
			logger.Info("witness stopped")
			return err
		case <-hup:
			r.reload(srv, logger)
		}
	}
}

// reload takes over the arrays of a changed configuration. A mistake in the file
// leaves everything as it was.
func (r *runCmd) reload(srv *witness.Server, logger *slog.Logger) {
	c, err := loadConfig(r.Config)
	if err == nil {
		err = srv.SetClients(c.clients())
	}
	if err != nil {
		logger.Error("configuration not taken over", "error", err)
		return
	}
	logger.Info("arrays taken over", "arrays", len(c.Arrays))
}
