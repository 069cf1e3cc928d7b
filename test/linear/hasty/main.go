// SPDX-License-Identifier: Apache-2.0

// Command hasty is the array daemon whose reads don't wait for writes that are in flight
// over their range: a mutant that TestHastyReadsAreCaught must find out. It is built by
// that test only.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("hasty", "err", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	cfg, err := node.LoadConfig(os.Args[len(os.Args)-1])
	if err != nil {
		return err
	}
	cfg.Groups = func(c *group.Config) { c.Hasty = true }
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.Open(cfg, log)
	if err != nil {
		return err
	}
	defer n.Close()
	return wsapi.Serve(ctx, cfg.Socket, n)
}
