// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/perdure/perdure/test/bench/report"
)

// load is a kind of command, with how many at once on each of how many sessions.
type load struct {
	name     string
	write    bool
	random   bool
	size     int
	depth    int
	sessions int
}

// loads are measured. (A list, not to be changed.)
var loads = []load{
	{"read-4k-qd1", false, true, 4 << 10, 1, 1},
	{"read-4k-qd32", false, true, 4 << 10, 32, 1},
	{"read-4k-qd128", false, true, 4 << 10, 128, 1},
	{"read-4k-qd1-8-sessions", false, true, 4 << 10, 1, 8},
	{"read-4k-qd32-8-sessions", false, true, 4 << 10, 32, 8},
	{"read-4k-qd128-8-sessions", false, true, 4 << 10, 128, 8},
	{"read-128k-stream", false, false, 128 << 10, 8, 1},
	{"read-128k-stream-8-sessions", false, false, 128 << 10, 8, 8},
	{"write-4k-qd1", true, true, 4 << 10, 1, 1},
	{"write-4k-qd32", true, true, 4 << 10, 32, 1},
	{"write-4k-qd128", true, true, 4 << 10, 128, 1},
	{"write-4k-qd1-8-sessions", true, true, 4 << 10, 1, 8},
	{"write-4k-qd32-8-sessions", true, true, 4 << 10, 32, 8},
	{"write-4k-qd128-8-sessions", true, true, 4 << 10, 128, 8},
	{"write-128k-stream", true, false, 128 << 10, 8, 1},
	{"write-128k-stream-8-sessions", true, false, 128 << 10, 8, 8},
}

// turn is what came of one.
type turn struct {
	rate float64 // commands a second
	cpu  float64 // seconds of processors that the target took for a million
	busy float64 // what part of a processor each load generator used
}

// run lets the load generators run against t.
func (l load) run(ctx context.Context, t *target, d time.Duration, guess float64) (turn, error) {
	before, err := report.Spent(t.pid)
	if err != nil {
		return turn{}, err
	}
	type result struct {
		rate, busy float64
		err        error
	}
	results := make(chan result)
	for i := range l.sessions {
		go func() {
			var r result
			if l.write {
				r.rate, r.busy, r.err = l.bench(ctx, t, l.writes(guess, d), i)
			} else {
				r.rate, r.busy, r.err = l.perf(ctx, t, d, i)
			}
			results <- r
		}()
	}
	began := time.Now()
	var sum turn
	for range l.sessions {
		r := <-results
		err = errors.Join(err, r.err)
		sum.rate += r.rate
		sum.busy += r.busy / float64(l.sessions)
	}
	took := time.Since(began)
	after, e := report.Spent(t.pid)
	if err = errors.Join(err, e); err != nil {
		return turn{}, err
	}
	commands := sum.rate * d.Seconds()
	if l.write {
		commands = float64(l.writes(guess, d) * l.sessions)
	}
	if l.sessions > 1 {
		// Sessions that don't run at the same time are not as fast together as their sum.
		sum.rate = commands / took.Seconds()
	}
	sum.cpu = (after - before).Seconds() / commands * 1e6
	return sum, nil
}

// writes is how many a session makes in a turn, for a target that takes guess a second.
func (l load) writes(guess float64, d time.Duration) int {
	return max(int(guess*d.Seconds())/l.sessions, 20)
}

var average = regexp.MustCompile(`iops average (\d+) `)

// perf reads with iscsi-perf.
func (l load) perf(ctx context.Context, t *target, d time.Duration, session int) (rate, busy float64, err error) {
	args := []string{"-i", initiatorName, "-m", strconv.Itoa(l.depth), "-b", strconv.Itoa(l.size / 512), "-t", strconv.Itoa(int(d.Seconds()))}
	if l.random {
		args = append(args, "-r")
	}
	out, busy, err := generator(exec.CommandContext(ctx, "iscsi-perf", append(args, t.url())...))
	if err != nil {
		return 0, 0, err
	}
	m := average.FindAllSubmatch(out, -1)
	if m == nil {
		return 0, 0, fmt.Errorf("iscsi-perf says %q", out)
	}
	rate, err = strconv.ParseFloat(string(m[len(m)-1][1]), 64)
	return rate, busy, err
}

var completed = regexp.MustCompile(`completed in ([\d.]+) seconds`)

// stride is how far apart one "random" write is from the next: a prime number of pages.
const stride = 4099 * 4096

// bench writes count times with qemu-img.
func (l load) bench(ctx context.Context, t *target, count, session int) (rate, busy float64, err error) {
	image := fmt.Sprintf("driver=iscsi,transport=tcp,portal=%s,target=%s,lun=%d,initiator-name=%s", t.addr, t.iqn, t.lun, initiatorName)
	args := []string{"bench", "-w", "-t", "none", "-c", strconv.Itoa(count), "-d", strconv.Itoa(l.depth), "-s", strconv.Itoa(l.size), "-o", strconv.Itoa(session << 24)}
	if l.random {
		args = append(args, "-S", strconv.Itoa(stride))
	}
	out, busy, err := generator(exec.CommandContext(ctx, "qemu-img", append(args, "--image-opts", image)...))
	if err != nil {
		return 0, 0, err
	}
	m := completed.FindSubmatch(out)
	if m == nil {
		return 0, 0, fmt.Errorf("qemu-img says %q", out)
	}
	seconds, err := strconv.ParseFloat(string(m[1]), 64)
	return float64(count) / max(seconds, 0.001), busy, err
}

// generator runs a load generator.
func generator(cmd *exec.Cmd) (out []byte, busy float64, err error) {
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	began := time.Now()
	err = cmd.Run()
	if err != nil {
		return nil, 0, fmt.Errorf("%v: %w: %s", cmd.Args, err, b.Bytes())
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return b.Bytes(), used.Seconds() / time.Since(began).Seconds(), nil
}

// fill writes all of a volume, so that reads find something.
func (t *target) fill(ctx context.Context, mib int) error {
	image := fmt.Sprintf("driver=iscsi,transport=tcp,portal=%s,target=%s,lun=%d,initiator-name=%s", t.addr, t.iqn, t.lun, initiatorName)
	_, _, err := generator(exec.CommandContext(ctx, "qemu-img", "bench", "-w", "-t", "none", "--pattern=165", "-c", strconv.Itoa(mib), "-d", "4", "-s", "1M", "--image-opts", image))
	return err
}
