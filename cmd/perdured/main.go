// SPDX-License-Identifier: Apache-2.0

// Command perdured is the array daemon.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/node"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/priority"
	"github.com/perdure/perdure/internal/sshd"
	"github.com/perdure/perdure/internal/table"
)

func main() {
	var cli struct {
		Config string `help:"Configuration file." default:"/etc/perdure/perdured.toml" type:"path"`

		Version kong.VersionFlag `help:"Print the version and exit."`

		Run   runCmd   `cmd:"" default:"withargs" help:"Serve."`
		Check checkCmd `cmd:"" help:"Look at the array's disks while the daemon is not running, and say what is wrong; changes nothing."`
	}
	c := kong.Parse(&cli, kong.Name("perdured"), kong.Description("Perdure's array daemon."), kong.Vars{"version": array.Version})
	if err := c.Run(path(cli.Config)); err != nil {
		fmt.Fprintln(os.Stderr, "perdured:", err)
		os.Exit(1)
	}
}

// path is that of the configuration file.
type path string

type runCmd struct {
	Debug bool `help:"Log more."`
}

func (r *runCmd) Run(p path) error { return run(string(p), r.Debug) }

type checkCmd struct {
	Content bool `help:"Read every page and compare its checksums, too."`
}

func (c *checkCmd) Run(p path) error {
	cfg, err := node.LoadConfig(string(p))
	if err != nil {
		return err
	}
	wrong := 0
	text, err := node.Inspect(cfg, c.Content, func(what string) { wrong++; fmt.Println("WRONG:", what) })
	fmt.Print(text)
	switch {
	case err != nil:
		return err
	case wrong > 0:
		return fmt.Errorf("%d things are wrong with the disks of array %s", wrong, cfg.Name)
	}
	fmt.Printf("array %s: nothing is wrong\n", cfg.Name)
	return nil
}

// serveSSH offers the command line over SSH.
func serveSSH(cfg node.Config, n *node.Node, log *slog.Logger) (*sshd.Server, error) {
	keys, err := hostkey.Open(filepath.Join(cfg.DataDir, "ssh"))
	if err != nil {
		return nil, err
	}
	n.KnowHostKeys(keys)
	return sshd.Open(sshd.Config{
		Name: cfg.Name, Listen: cfg.SSH.Listen, Keys: keys, Users: n.People(), Logger: log,
		Run: func(ctx context.Context, by people.Session, words []string, style table.Style) (string, error) {
			return n.Do(ctx, node.Asked{By: node.CallerOf(by, "ssh"), Words: words, Style: style})
		},
	})
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
	if cfg.Nice != 0 {
		if err := priority.Raise(cfg.Nice); err != nil {
			log.Warn("raise the priority: on a busy machine this array may be taken for dead", "err", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tellUsage(ctx, log) // before anything that may take long
	n, err := node.Open(cfg, log)
	if err != nil {
		return err
	}
	defer n.Close()
	endSSH := func() {}
	if len(cfg.SSH.Listen) > 0 {
		// An address that is taken is no reason to leave hosts without their volumes.
		s, err := serveSSH(cfg, n, log)
		if err != nil {
			n.Alarm("there is no SSH: " + node.ListenFailed("ssh.listen", err).Error())
		} else {
			endSSH = sync.OnceFunc(s.Close)
			defer endSSH()
		}
	}
	log.Info("serving", "iscsi", cfg.ISCSI.Name, "portals", fmt.Sprint(cfg.ISCSI.Portals), "socket", cfg.Socket)
	if err := serve(ctx, cfg, n, log); err != nil {
		return err
	}
	n.TakeNoCommands()
	endSSH() // as REST has by now: nobody gives commands to an array that leaves
	if err := n.Leave(); err != nil {
		log.Warn("hand over before shutting down", "err", err)
	}
	return nil
}
