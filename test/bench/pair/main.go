// SPDX-License-Identifier: Apache-2.0

// Command pair measures what mirroring costs a host: the latency of single 4 KiB writes and
// reads through each array of a pair that both serve, against a volume of the same array
// that is not mirrored, with the links between the arrays as long as they may be. It prints
// a line per figure,
//
//	name value unit peer ratio budget met|missed
//
// in microseconds. The peer of a mirrored write is the un-mirrored one and the round trip
// of the links; of a write through the array that does not own, one through the owner; of
// a read, an un-mirrored one. -svg draws the writes. Its exit status says whether the run
// worked, not what was met.
//
// # Invariants
//
//   - All figures of a round are taken by turns, a few commands each, so that what else
//     the machine does bears on all of them.
//   - Arrays and witness are the shipped binaries, each in a network namespace of its own.
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
	bin      string
	rounds   int
	commands int
	svg      string
}

func main() { os.Exit(lab.Main(run)) }

func run() int {
	o := options{}
	flag.StringVar(&o.bin, "bin", "bin", "where perdured is")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds at each length of the links")
	flag.IntVar(&o.commands, "commands", 200, "commands of each kind in a round")
	flag.StringVar(&o.svg, "svg", "", "draw the writes into this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.measure(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pair:", err)
		return 1
	}
	return 0
}

// delays are the round trips of the links beyond the network's own.
var delays = [...]time.Duration{0, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond}

func (o options) measure(ctx context.Context) (err error) {
	if o.rounds < 1 || o.commands < 10 {
		return errors.New("-rounds must be positive and -commands at least 10")
	}
	p, err := bringUp(ctx, o.bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var lines []report.Line
	var all []figures
	for _, d := range delays {
		if err := p.lengthen(d); err != nil {
			return err
		}
		f := figures{delay: d}
		for range o.rounds {
			if err := p.round(ctx, o.commands, &f); err != nil {
				return fmt.Errorf("links of %v: %w", d, err)
			}
		}
		lines = append(lines, f.lines()...)
		all = append(all, f)
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, []byte(draw(all)), 0o644); err != nil {
			return err
		}
	}
	return report.Print(os.Stdout, lines)
}
