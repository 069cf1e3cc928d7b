// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/test/bench/report"
)

// figures are the rounds of a load.
type figures struct {
	ours, tgt, istgt []turn
	// echo is how often the echo answered, and asked how often we did, to the same asker.
	echo, asked []float64
	guess       map[*target]float64 // how many commands a second a target takes
}

func (s *stand) round(ctx context.Context, l load, d time.Duration, f *figures) error {
	if f.guess == nil {
		f.guess = map[*target]float64{}
	}
	for _, t := range []struct {
		*target
		to *[]turn
	}{{s.ours, &f.ours}, {s.tgt, &f.tgt}, {s.istgt, &f.istgt}} {
		if t.target == s.istgt && l.sessions > 1 {
			continue // it loses some of several sessions that begin at once
		}
		if l.write && f.guess[t.target] == 0 {
			if err := f.estimate(ctx, l, t.target); err != nil {
				return err
			}
		}
		r, err := l.run(ctx, t.target, d, f.guess[t.target])
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		f.guess[t.target] = r.rate
		*t.to = append(*t.to, r)
		if err := rest(ctx, t.target); err != nil {
			return err
		}
	}
	if l.echoed() {
		a, err := askEcho(s.echo.addr)
		rate, err := askOnce(a, err, l.depth, d)
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		f.echo = append(f.echo, rate)
		a, err = askTarget(s.ours, s.mib)
		if rate, err = askOnce(a, err, l.depth, d); err != nil {
			return fmt.Errorf("ask as the echo is asked: %w", err)
		}
		f.asked = append(f.asked, rate)
	}
	return nil
}

// estimate finds out how many writes make a turn: a few tell how many tell more.
func (f *figures) estimate(ctx context.Context, l load, t *target) error {
	r, err := l.run(ctx, t, 200*time.Millisecond, 500*float64(l.sessions))
	if err == nil {
		r, err = l.run(ctx, t, 200*time.Millisecond, r.rate)
	}
	f.guess[t] = r.rate
	return err
}

// echoed: the echo has messages of this load's sizes.
func (l load) echoed() bool { return !l.write && l.size == 4<<10 && l.sessions == 1 }

func rates(ts []turn) (v []float64) {
	for _, t := range ts {
		v = append(v, t.rate)
	}
	return v
}

func costs(ts []turn) (v []float64) {
	for _, t := range ts {
		v = append(v, t.cpu)
	}
	return v
}

func busy(ts []turn) float64 {
	var v []float64
	for _, t := range ts {
		v = append(v, t.busy)
	}
	return report.Median(v)
}

// latencies are microseconds of a command, where there is one at a time.
func latencies(rates []float64) (v []float64) {
	for _, r := range rates {
		v = append(v, 1e6/max(r, 1))
	}
	return v
}

func least(x float64) report.Budget { return report.Budget{Sense: report.AtLeast, Limit: x} }
func most(x float64) report.Budget  { return report.Budget{Sense: report.AtMost, Limit: x} }

// generatorIsBusy is from when on the load generator is the limit, and not the target.
const generatorIsBusy = 0.95

// lines are what a load's figures come to, beside each peer's.
func (f *figures) lines(medium string, l load) (lines []report.Line) {
	name := medium + "-" + l.name
	if l.depth == 1 && l.sessions == 1 && !l.write {
		us := latencies(rates(f.ours))
		lines = append(lines,
			report.Compared(name+"-latency-to-tgt", "us", us, latencies(rates(f.tgt)), most(1)),
			report.Compared(name+"-latency-to-istgt", "us", us, latencies(rates(f.istgt)), most(1)),
			report.Compared(name+"-latency-to-echo", "us", latencies(f.asked), latencies(f.echo), most(2)))
	} else {
		unless := ""
		if b := busy(f.ours); b >= generatorIsBusy {
			unless = fmt.Sprintf("the load generator is %.0f %% busy", b*100)
		}
		lines = append(lines,
			report.Compared(name+"-to-tgt", "IOPS", rates(f.ours), rates(f.tgt), least(l.toTgt())).Unless(unless))
		switch {
		case f.istgt == nil:
		case l.write: // istgt's are in the kernel's memory only, whatever it is configured to
			lines = append(lines, report.Shown(name+"-to-istgt", "IOPS", rates(f.ours), rates(f.istgt)))
		default:
			lines = append(lines, report.Compared(name+"-to-istgt", "IOPS", rates(f.ours), rates(f.istgt), least(1)).Unless(unless))
		}
		if f.echo != nil {
			lines = append(lines, report.Shown(name+"-to-echo", "IOPS", f.asked, f.echo))
		}
	}
	cpu := report.Shown(name+"-cpu-to-tgt", "s/M", costs(f.ours), costs(f.tgt))
	if strings.HasPrefix(l.name, "read-4k") && l.sessions == 1 {
		cpu = report.Compared(name+"-cpu-to-tgt", "s/M", costs(f.ours), costs(f.tgt), most(1.0/3))
	}
	if f.istgt == nil {
		return append(lines, cpu)
	}
	return append(lines, cpu, report.Shown(name+"-cpu-to-istgt", "s/M", costs(f.ours), costs(f.istgt)))
}

// toTgt is how many times tgt's rate a load has to reach.
func (l load) toTgt() float64 {
	switch {
	case l.write && l.size == 4<<10:
		return 1.5
	case !l.write && l.size == 4<<10 && l.depth == 32:
		return 2.5
	}
	return 1
}
