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

// Colours of a terminal.
const (
	plain  = 0
	bold   = 1
	red    = 31
	green  = 32
	yellow = 33
	grey   = 90
)

func (s *show) explain() {
	fmt.Fprintf(s.out, "Two arrays, a witness at a third site and a host, each a process in a network of its own.\n")
	fmt.Fprintf(s.out, "A load of %d workers writes and reads %d volumes through four paths and checks every block.\n", workers, volumes)
	fmt.Fprintf(s.out, "Paths: + active, s standby, x unavailable, . no connection. Logs: %s/logs\n\n", s.r.Dir)
}

// say prints a line of its own.
func (s *show) say(color int, format string, v ...any) {
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.began).Seconds(), s.paint(color, fmt.Sprintf(format, v...)))
}

// paint colours a word on a terminal.
func (s *show) paint(color int, text string) string {
	if !s.color || color == plain {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, text)
}

// watch draws a line every second for the given time, and ends it early when the
// host saw something that it must not.
func (s *show) watch(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Second, time.Until(end))):
		}
		s.tell(ctx)
		s.draw(ctx)
		if s.load.Faults() > 0 || s.load.Failed() > 0 {
			return fmt.Errorf("the host saw a failure")
		}
	}
	return nil
}

// draw prints one line of the timeline.
func (s *show) draw(ctx context.Context) {
	c := s.line.Take()
	dt := time.Since(s.at).Seconds()
	s.at = time.Now()
	var sides [2]string
	for i := range sides {
		sides[i] = s.side(ctx, i)
	}
	pause := plain
	if c.Longest > 100*time.Millisecond {
		pause = yellow
	}
	s.say(plain, "%s │ %s │ %5.0f writes/s %5.0f reads/s │ %s", sides[0], sides[1],
		float64(c.Writes)/dt, float64(c.Reads)/dt, s.paint(pause, fmt.Sprintf("pause %4d ms", c.Longest.Milliseconds())))
}

// side is what the host and the array say of one side.
func (s *show) side(ctx context.Context, i int) string {
	paths := ""
	for _, p := range s.disks[0].Paths() {
		if p.Array == rig.Name(i) {
			sign, color := signOf(p.State)
			paths += s.paint(color, sign)
		}
	}
	role, color := "no answer", red
	if st, err := s.r.Status(ctx, i, group); err == nil {
		role, color = st.Role+" "+st.Sync, plain
		if st.State == "Failsafe" {
			role = st.Role + " waits"
		}
		if st.Serving == rig.Name(i) {
			role, color = role+" serving", green
		}
	}
	return fmt.Sprintf("%s %s %s", rig.Name(i), paths, s.paint(color, fmt.Sprintf("%-29s", role)))
}

func signOf(s host.State) (string, int) {
	switch s {
	case host.Optimized:
		return "+", green
	case host.NonOptimized:
		return "o", green
	case host.Standby:
		return "s", grey
	case host.Unavailable, host.Offline:
		return "x", red
	case host.Transitioning:
		return "t", yellow
	}
	return ".", red
}

// tell prints what the arrays noted since the last time.
func (s *show) tell(ctx context.Context) {
	for i := range s.told {
		text, err := s.r.Command(ctx, i, "showeventlog", "-nohdtot")
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		for _, l := range lines[min(s.told[i], len(lines)):] {
			if l != "" {
				s.say(grey, "    %s: %s", rig.Name(i), l)
			}
		}
		s.told[i] = len(lines)
	}
}
