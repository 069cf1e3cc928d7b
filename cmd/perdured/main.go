// SPDX-License-Identifier: Apache-2.0

// Command perdured is the array daemon.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/wsapi"
)

func main() {
	var cli struct {
		Config string `help:"Configuration file." default:"/etc/perdure/perdured.toml" type:"path"`
		Debug  bool   `help:"Log more."`
	}
	kong.Parse(&cli, kong.Name("perdured"), kong.Description("Perdure's array daemon."))
	if err := run(cli.Config, cli.Debug); err != nil {
		fmt.Fprintln(os.Stderr, "perdured:", err)
		os.Exit(1)
	}
}

func run(path string, debug bool) error {
	cfg, err := node.LoadConfig(path)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("array", cfg.Name)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.Open(cfg, log)
	if err != nil {
		return err
	}
	defer n.Close()
	log.Info("serving", "iscsi", cfg.ISCSI.Name, "portals", fmt.Sprint(cfg.ISCSI.Portals), "socket", cfg.Socket)
	if err := wsapi.Serve(ctx, cfg.Socket, n); err != nil {
		return err
	}
	if err := n.Leave(); err != nil {
		log.Warn("hand over before shutting down", "err", err)
	}
	return nil
}
