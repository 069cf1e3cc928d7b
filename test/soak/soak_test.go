// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

var (
	minutes = flag.Int("soak.minutes", 2, "how long")
	seed    = flag.Uint64("soak.seed", 0, "which faults; 0 draws one")
	plot    = flag.String("soak.plot", "", "draw what happened into this file, as SVG")
)

// verifyEvery is how often everything is read through both arrays and compared.
const verifyEvery = 3 * time.Minute

// TestSoak is `make soak`.
func TestSoak(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	dir, err := os.MkdirTemp("", "ps-") // short: the arrays' sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLife(t.Context(), binaries(t), dir, *seed)
	if err != nil {
		t.Fatalf("set up, logs are in %s: %v", dir, err)
	}
	err = l.live(t.Context(), time.Duration(*minutes)*time.Minute, t.Logf)
	lost, failed := l.wrong()
	lived := l.since()
	l.close()
	if err == nil {
		err = errors.Join(l.CheckDisks(context.Background()), l.flat(t.Logf))
	}
	if *plot != "" {
		if e := os.WriteFile(*plot, []byte(l.picture()), 0o644); e != nil {
			t.Error(e)
		}
	}
	if err != nil {
		t.Errorf("%v\nlogs are in %s", err, dir)
	} else {
		_ = os.RemoveAll(dir)
	}
	fmt.Printf("soak: %d minutes, %d operations, %d lost, %d errors\n", int(lived.Minutes()), l.operations, lost, failed)
}

// live lets faults happen until the time is over, and then looks at everything.
func (l *life) live(ctx context.Context, long time.Duration, logf func(string, ...any)) error {
	l.long = long
	rng := rand.New(rand.NewPCG(l.seed, 0))
	verified := time.Duration(0)
	for l.since() < long {
		spared := "A"
		if l.since() > long/2 {
			spared = "B"
		}
		events := drawEvents(rng, spared)
		pause(ctx, time.Duration(rng.ExpFloat64()*float64(4*time.Second)))
		what := ""
		for _, e := range events {
			what += fmt.Sprintf(" %s for %v;", e.name, e.lasts.Round(100*time.Millisecond))
		}
		logf("%v:%s", l.since().Round(time.Second), what)
		if err := l.suffer(ctx, events, rng); err != nil {
			return fmt.Errorf("after %v:%s %w", l.since().Round(time.Second), what, err)
		}
		if err := l.whole(ctx); err != nil {
			return fmt.Errorf("after %v:%s %w", l.since().Round(time.Second), what, err)
		}
		if err := l.sample(); err != nil {
			return err
		}
		if l.since()-verified > verifyEvery {
			if err := l.verify(ctx); err != nil {
				return err
			}
			verified = l.since()
		}
		if lost, failed := l.wrong(); lost+failed > 0 {
			return fmt.Errorf("after %v:%s %w", l.since().Round(time.Second), what, l.err())
		}
	}
	return l.verify(ctx)
}

// suffer lets events happen, each in its time.
func (l *life) suffer(ctx context.Context, events []event, rng *rand.Rand) error {
	g := groups()[rng.IntN(len(groups()))].name
	results := make(chan error, len(events))
	at := time.Duration(0)
	for _, e := range events {
		at += e.after
		go func() {
			pause(ctx, at)
			m := mark{at: l.since(), name: e.name}
			var err error
			for _, s := range e.do {
				err = errors.Join(err, l.Step(ctx, g, s))
			}
			pause(ctx, e.lasts)
			for _, s := range e.then {
				err = errors.Join(err, l.Step(ctx, g, s))
			}
			m.until = l.since()
			l.mark(m)
			results <- err
		}()
	}
	var err error
	for range events {
		err = errors.Join(err, <-results)
	}
	return err
}

// pause lets time pass.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// binaries returns where the commands are.
func binaries(t *testing.T) string {
	t.Helper()
	dir, err := rig.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
