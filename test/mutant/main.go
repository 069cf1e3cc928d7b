// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

// Main is the main function of an array daemon whose configuration, which the last
// argument names, was changed by leaveOut.
func Main(name string, leaveOut func(*node.Config)) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log, leaveOut); err != nil {
		log.Error(name, "err", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger, leaveOut func(*node.Config)) error {
	cfg, err := node.LoadConfig(os.Args[len(os.Args)-1])
	if err != nil {
		return err
	}
	leaveOut(&cfg)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.Open(cfg, log)
	if err != nil {
		return err
	}
	defer n.Close()
	return wsapi.Serve(ctx, cfg.Socket, n)
}
