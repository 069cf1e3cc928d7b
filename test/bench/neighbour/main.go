// SPDX-License-Identifier: Apache-2.0

// Command neighbour measures what one host's load costs another: a quiet host with one
// command at a time, alone and beside a noisy one with many sessions and many commands
// on each. All are processes of their own: an array with one volume for each host, and
// the hosts. It prints a line per kind of load,
//
//	name idle-p50 beside-p50 ratio idle-p99 beside-p99 noisy-iops budget met|missed
//
// in microseconds, each figure the median of the rounds. Its exit status says whether
// the run worked, not what was met.
//
// # Invariants
//
//   - Idle and loaded turns alternate, so that what else the machine does bears on both.
//   - The noisy host keeps its whole window in use: it sends a command for every answer.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/perdure/perdure/test/bench/alone"
)

const (
	quietName = "iqn.2026-01.org.example:quiet"
	noisyName = "iqn.2026-01.org.example:noisy"
)

// budget is how much longer the quiet host's commands may take beside the noisy one.
const budget = 3.0

// bench is one run.
type bench struct {
	bin, dir        string
	rounds          int
	turn            time.Duration
	sessions, depth int
	mib             int
	addr            string
	load            load
}

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin", "where perdured is")
	flag.StringVar(&b.dir, "dir", "", "where the array works, on a real disk; a fresh directory below .cache if empty")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of idle and loaded turns")
	flag.DurationVar(&b.turn, "time", 2*time.Second, "how long a turn is")
	flag.IntVar(&b.sessions, "sessions", 8, "sessions of the noisy host")
	flag.IntVar(&b.depth, "depth", 128, "commands on each of them")
	flag.IntVar(&b.mib, "mib", 256, "size of each volume")
	// The noisy host is this program, started again.
	noisy := flag.String("noisy", "", "be the noisy host: the array's address")
	flag.StringVar(&b.load.name, "load", "", "the noisy host's load")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *noisy != "" {
		b.addr = *noisy
		err = b.beNoisy(ctx)
	} else {
		err = b.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "neighbour:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.rounds < 1 || b.turn <= 0 || b.sessions < 1 || b.depth < 1 {
		return errors.New("-rounds, -time, -sessions and -depth must be positive")
	}
	a, err := alone.Start(ctx, alone.Options{Bin: b.bin, Dir: cmp.Or(b.dir, ".cache"), Hosts: []string{quietName, noisyName}, MiB: b.mib})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	b.addr = a.Addr
	if err := b.fill(); err != nil {
		return err
	}
	fmt.Printf("%-12s %9s %9s %6s %9s %9s %10s %7s\n", "load", "idle-p50", "bside-p50", "ratio", "idle-p99", "bside-p99", "noisy-iops", "budget")
	for _, l := range loads {
		if b.load.name != "" && b.load.name != l.name {
			continue
		}
		if err := b.measure(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// measure plays one load's rounds and prints its line.
func (b *bench) measure(ctx context.Context, l load) error {
	var idle50, idle99, loud50, loud99, ratio, iops []float64
	for range b.rounds {
		idle, err := b.quiet(l)
		if err != nil {
			return err
		}
		n, err := b.startNoisy(ctx, l)
		if err != nil {
			return err
		}
		loud, err := b.quiet(l)
		done, nerr := n.stop()
		if err = errors.Join(err, nerr); err != nil {
			return err
		}
		idle50, idle99 = append(idle50, idle.at(50)), append(idle99, idle.at(99))
		loud50, loud99 = append(loud50, loud.at(50)), append(loud99, loud.at(99))
		ratio = append(ratio, loud.at(50)/idle.at(50))
		iops = append(iops, done)
	}
	verdict := "met"
	if median(ratio) > budget {
		verdict = "missed"
	}
	fmt.Printf("%-12s %9.0f %9.0f %6.1f %9.0f %9.0f %10.0f %4.0fx %s\n", l.name,
		median(idle50), median(loud50), median(ratio), median(idle99), median(loud99), median(iops), budget, verdict)
	return nil
}

// quiet is the quiet host's turn. It logs in for it: between turns nobody would answer
// the array's pings.
func (b *bench) quiet(l load) (latencies, error) {
	q, err := login(b.addr, quietName, 0)
	if err != nil {
		return nil, fmt.Errorf("the quiet host logs in: %w", err)
	}
	defer q.close()
	return q.alone(l, b.blocks(), b.turn)
}

// blocks is how many blocks a volume has.
func (b *bench) blocks() int { return b.mib << 11 }

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
