// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

func (s *show) say(format string, v ...any) {
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, v...))
}

// paint colours a word on a terminal.
func (s *show) paint(code int, text string) string {
	if !s.color {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

// loadWorst takes the longest command since the last look.
func (s *show) loadWorst() time.Duration {
	var w time.Duration
	for _, l := range s.loads {
		w = max(w, l.longest())
	}
	return w
}

// watch draws a line every second for the given time.
func (s *show) watch(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Second, time.Until(end))):
		}
		if err := s.line(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) line(ctx context.Context) error {
	var writes, reads int64
	for i, l := range s.loads {
		if err := l.err(); err != nil {
			return fmt.Errorf("the host saw an error on volume %d: %w", i, err)
		}
		writes, reads = writes+l.writes.Load(), reads+l.reads.Load()
	}
	dt := time.Since(s.at).Seconds()
	worst := s.loadWorst()
	s.worst = max(s.worst, worst)
	var side [2]string
	for i := range 2 {
		g := s.r.GroupLine(ctx, i, group)
		state := "no answer"
		if f := strings.Split(g, ", "); len(f) >= 5 {
			state = fmt.Sprintf("%s %s", f[2], f[3])
		}
		p := s.disks[0].Paths()[i].State.String()
		code := 33
		switch p {
		case host.Optimized.String():
			code = 32
		case host.Down.String():
			code = 31
		}
		side[i] = fmt.Sprintf("%s %s %s", rig.Name(i), s.paint(code, fmt.Sprintf("%-11s", p)), fmt.Sprintf("%-22s", state))
	}
	s.say("%s │ %s │ %6.0f writes/s %6.0f reads/s │ longest %4d ms", side[0], side[1],
		float64(writes-s.writes)/dt, float64(reads-s.reads)/dt, worst.Milliseconds())
	s.writes, s.reads, s.at = writes, reads, time.Now()
	return nil
}

// end verifies everything through each array and prints the verdict.
func (s *show) end(ctx context.Context, pauses [4]time.Duration) error {
	var total int64
	for i, l := range s.loads {
		l.end()
		if err := l.err(); err != nil {
			return fmt.Errorf("the host saw an error on volume %d: %w", i, err)
		}
		total += l.writes.Load()
	}
	s.say("▶ every block read through one array, then through the other")
	var sums [2][volumes]uint32
	lost := 0
	for turn := range 2 {
		i := rig.A
		if s.r.Serves(ctx, rig.B, group) {
			i = rig.B
		}
		for v, l := range s.loads {
			n, sum, err := l.verify(rig.Name(i))
			if err != nil {
				return fmt.Errorf("verify volume %d: %w", v, err)
			}
			lost += n
			sums[turn][v] = sum
		}
		if turn == 0 {
			if _, err := s.r.Command(ctx, i, "setrcopygroup", "switchover", group); err != nil {
				return err
			}
		}
	}
	s.host.Close()
	if lost > 0 {
		return fmt.Errorf("%d of %d acknowledged writes are lost", lost, total)
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("the arrays' copies differ")
	}
	fmt.Fprintf(s.out, "demo: ok: 0 of %d acknowledged writes lost; pauses: switchover %d ms, array killed %d ms, link cut %d ms, witness lost then link cut %d ms\n",
		total, pauses[0].Milliseconds(), pauses[1].Milliseconds(), pauses[2].Milliseconds(), pauses[3].Milliseconds())
	return nil
}
