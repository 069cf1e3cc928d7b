// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/bench/report"
)

// usage is what a daemon takes.
type usage struct {
	goroutines, resident float64
	processors           time.Duration
}

var inUse = regexp.MustCompile(`goroutines=(\d+) `)

// usage asks the daemon, by signal, and the kernel.
func (p *pair) usage(ctx context.Context, i int) (u usage, err error) {
	a := p.Array(i)
	before := len(inUse.FindAllString(a.Log(), -1))
	if err := a.Signal(syscall.SIGUSR1); err != nil {
		return u, err
	}
	var all [][]string
	if err := p.Until(ctx, "what "+rig.Name(i)+" uses", func() bool {
		all = inUse.FindAllStringSubmatch(a.Log(), -1)
		return len(all) > before
	}); err != nil {
		return u, err
	}
	last := all[len(all)-1]
	if u.goroutines, err = strconv.ParseFloat(last[1], 64); err != nil {
		return u, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", a.Pid()))
	if err != nil {
		return u, err
	}
	var size, pages float64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return u, fmt.Errorf("statm of process %d: %q", a.Pid(), b)
	}
	u.resident = pages * float64(os.Getpagesize())
	u.processors, err = report.Spent(a.Pid())
	return u, err
}

// settle is how long the pair is left alone before it counts as idle.
const settle = 10 * time.Second

// rest looks at what the pair takes while nobody uses it.
func (p *pair) rest(ctx context.Context) error {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	var before, after [2]usage
	var err error
	for i := range before {
		if before[i], err = p.usage(ctx, i); err != nil {
			return err
		}
	}
	began := time.Now()
	select {
	case <-time.After(p.idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i := range after {
		if after[i], err = p.usage(ctx, i); err != nil {
			return err
		}
		took := time.Since(began)
		volumes, groups := float64(p.groups*p.volumes), float64(p.groups)
		name := "idle-" + rig.Name(i)
		p.lines = append(
			p.lines,
			report.Alone(name+"-load", "%", []float64{100 * (after[i].processors - before[i].processors).Seconds() / took.Seconds()}, most(5)),
			report.Alone(name+"-volume-resident", "KiB", []float64{(after[i].resident - p.empty[i].resident) / volumes / 1024}, most(64)),
			report.Alone(name+"-group-goroutines", "each", []float64{(after[i].goroutines - p.empty[i].goroutines) / groups}, most(10)),
		)
	}
	return nil
}

// failOver kills the array that serves all groups, and starts it again.
func (p *pair) failOver(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*settlesIn)
	defer cancel()
	if err := p.Array(rig.A).Kill(); err != nil {
		return err
	}
	began := time.Now()
	if err := p.untilAll(ctx, rig.B, "all groups served by "+rig.Name(rig.B), func(f groupFact) bool { return f.ServingArray == rig.Name(rig.B) }); err != nil {
		return err
	}
	p.lines = append(p.lines, report.Alone("failover-all", "s", []float64{time.Since(began).Seconds()}, most(2)))
	began = time.Now()
	if err := p.StartArray(ctx, rig.A); err != nil {
		return err
	}
	p.lines = append(p.lines, report.Alone("start-again", "s", []float64{time.Since(began).Seconds()}, most(10)))
	if err := p.untilSynced(ctx, rig.B); err != nil {
		return err
	}
	p.lines = append(p.lines, report.Alone("return-all", "s", []float64{time.Since(began).Seconds()}, most(30)))
	return nil
}
