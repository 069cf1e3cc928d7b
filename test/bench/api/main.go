// SPDX-License-Identifier: Apache-2.0

// Command api measures what a program of an administrator waits for when a pair is as
// large as it is made for: 1,000 groups of 10 volumes each, created, exported, listed and
// switched over through REST, one request at a time; what the pair takes while nobody
// uses it; and how long a failover of all of it takes. It prints a line per figure,
//
//	name value unit peer ratio budget met|missed
//
// The peer of a request near the end of the creation is the same kind near its beginning.
// Its exit status says whether the run worked, not what was met.
//
// # Invariants
//
//   - Arrays and witness are the shipped binaries, each in a network namespace of its own.
//   - A request is sent when the one before is answered: rates are those of one program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/test/bench/report"
)

// options are those of a run.
type options struct {
	bin             string
	groups, volumes int
	hosts           int
	lists           int
	idle            time.Duration
}

func main() { os.Exit(lab.Main(run)) }

func run() int {
	o := options{}
	flag.StringVar(&o.bin, "bin", "bin", "where perdured is")
	flag.IntVar(&o.groups, "groups", 1000, "groups on the pair")
	flag.IntVar(&o.volumes, "volumes", 10, "volumes in each of them")
	flag.IntVar(&o.hosts, "hosts", 50, "hosts that the volumes are exported to")
	flag.IntVar(&o.lists, "lists", 30, "how often each list is asked for")
	flag.DurationVar(&o.idle, "idle", 20*time.Second, "how long the idle pair is looked at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.measure(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		return 1
	}
	return 0
}

func (o options) measure(ctx context.Context) (err error) {
	if o.groups < 2*edge || o.volumes < 1 || o.hosts < 1 || o.lists < 1 || o.idle <= 0 {
		return fmt.Errorf("-groups must be at least %d, and -volumes, -hosts, -lists and -idle positive", 2*edge)
	}
	p, err := bringUp(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"create", p.create},
		{"list", p.list},
		{"switch over", p.switchOver},
		{"idle", p.rest},
		{"fail over", p.failOver},
	} {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", step.what, time.Since(began).Seconds())
	}
	return report.Print(os.Stdout, p.lines)
}
