// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/test/bench/report"
)

// options are those of a run.
type options struct {
	bin    string
	disk   string
	memory string
	rounds int
	turn   time.Duration
	mib    int
	only   string
}

func main() {
	o := options{}
	flag.StringVar(&o.bin, "bin", "bin", "where perdured is")
	flag.StringVar(&o.disk, "dir", ".cache", "a directory on a disk")
	flag.StringVar(&o.memory, "memory", "/dev/shm", "a directory on a tmpfs")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of turns")
	flag.DurationVar(&o.turn, "time", 2*time.Second, "how long a turn is, in whole seconds")
	flag.IntVar(&o.mib, "mib", 256, "size of each volume")
	flag.StringVar(&o.only, "only", "", "only loads whose name has this in it")
	echo := flag.Bool("echo", false, "be the echo, and print its address")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *echo {
		err = serveEcho()
	} else {
		err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.rounds < 1 || o.turn < time.Second || o.mib < 16 {
		return errors.New("-rounds must be positive, -time at least 1s and -mib at least 16")
	}
	var lines []report.Line
	for _, medium := range []struct{ name, dir string }{{"memory", o.memory}, {"disk", o.disk}} {
		l, err := o.medium(ctx, medium.name, medium.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", medium.name, err)
		}
		lines = append(lines, l...)
	}
	return report.Print(os.Stdout, lines)
}

// medium measures all targets with their data in dir.
func (o options) medium(ctx context.Context, name, dir string) (lines []report.Line, err error) {
	wanted := slices.DeleteFunc(slices.Clone(loads), func(l load) bool { return !strings.Contains(name+"-"+l.name, o.only) })
	if len(wanted) == 0 {
		return nil, nil
	}
	s, err := start(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, l := range wanted {
		var f figures
		for range o.rounds {
			if err := s.round(ctx, l, o.turn, &f); err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
		}
		lines = append(lines, f.lines(name, l)...)
	}
	return lines, nil
}
