// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

const (
	// loopsPerCore is how many busy loops want each core.
	loopsPerCore = 2
	// noticed is the longest that a host may wait for a command: what it may wait when a
	// link is cut.
	noticed = 2 * time.Second
)

// TestStarvation is `make starve`: nothing fails, but the processors are wanted by others.
// An array that then takes the other for dead was wrong; that is counted, and no host may
// have noticed.
func TestStarvation(t *testing.T) {
	dir, err := os.MkdirTemp("", "ps-")
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLife(t.Context(), binaries(t), dir, 1)
	if err != nil {
		t.Fatalf("set up, logs are in %s: %v", dir, err)
	}
	out, err := l.starve(t.Context(), time.Duration(*minutes)*time.Minute, t.Logf)
	lost, failed := l.wrong()
	err = errors.Join(err, l.err()) // closing ends what hosts have under way
	l.close()
	if err = errors.Join(err, l.CheckDisks(context.Background())); err != nil {
		t.Errorf("%v\nlogs are in %s", err, dir)
	} else {
		_ = os.RemoveAll(dir)
	}
	fmt.Printf("starve: %d minutes, %d loops on %d cores, %d false failovers, hosts waited %d ms at most, %d operations, %d lost, %d errors\n",
		*minutes, loopsPerCore*runtime.NumCPU(), runtime.NumCPU(), out.failovers, out.longest.Milliseconds(), l.operations, lost, failed)
}

// starved is what came of it.
type starved struct {
	failovers int // times that an array left the other out
	longest   time.Duration
}

// starve lets loops run beside the pair and watches who leaves whom out. In the end all must
// be whole again by itself.
func (l *life) starve(ctx context.Context, long time.Duration, logf func(string, ...any)) (out starved, err error) {
	end, err := busyLoops(loopsPerCore * runtime.NumCPU())
	if err != nil {
		return out, err
	}
	defer end()
	var windows []*host.Window
	for _, g := range l.groups {
		windows = append(windows, g.host.Meter().Open())
	}
	began := l.since()
	alone := map[string]bool{}
	for l.since()-began < long && ctx.Err() == nil {
		for n, g := range l.groups {
			for i := range 2 {
				record := l.Record(ctx, i, g.name)
				is := strings.Contains(record, "{A}") || strings.Contains(record, "{B}")
				key := g.name + rig.Name(i)
				if is && !alone[key] && !alone[g.name+rig.Name(1-i)] {
					out.failovers++
					logf("%v: group %s is served alone: %s", (l.since() - began).Round(100*time.Millisecond), g.name, record)
				}
				if record != "" {
					alone[key] = is
				}
			}
			if w := windows[n].Take().Longest; w > out.longest {
				out.longest = w
				logf("%v: hosts of group %s have waited %v", (l.since() - began).Round(100*time.Millisecond), g.name, w.Round(time.Millisecond))
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	if out.longest > noticed {
		err = fmt.Errorf("a host waited %v for a command, want at most %v", out.longest, noticed)
	}
	return out, errors.Join(err, ctx.Err(), l.whole(ctx), l.verify(ctx))
}

// busyLoops starts processes that do nothing as fast as they can.
func busyLoops(n int) (end func(), err error) {
	var all []*exec.Cmd
	end = func() {
		for _, c := range all {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
	for range n {
		c := exec.Command("sh", "-c", "while :; do :; done")
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			end()
			return nil, fmt.Errorf("start a busy loop: %w", err)
		}
		all = append(all, c)
	}
	return end, nil
}
