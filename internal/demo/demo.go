// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "demo"
	volumes = 3
	blocks  = 2048 // of each volume
	workers = 8    // on each volume
)

// show is one run.
type show struct {
	r     *rig.Rig
	out   io.Writer
	disks []*host.Disk
	loads []*load
	host  *host.Host
	began time.Time
	color bool
	// last counts, for rates
	writes, reads int64
	at            time.Time
	worst         time.Duration // since the last act began
}

// Run plays the demo with the commands in bin and data in dir, and reports to out.
func Run(ctx context.Context, bin, dir string, out io.Writer, color bool) error {
	r, err := rig.New(bin, dir, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	s := &show{r: r, out: out, began: time.Now(), at: time.Now(), color: color}
	fmt.Fprintf(out, "Two arrays, a witness and a host, each in a network of its own. Logs are in %s/logs.\n\n", dir)
	if err := s.setUp(ctx); err != nil {
		return err
	}
	var pauses [4]time.Duration
	acts := []struct {
		title string
		play  func(context.Context) error
	}{
		{"planned switchover to the other array, and back", s.switchover},
		{"kill -9 of the serving array, and its return", s.kill},
		{"both links cut, and healed", s.cut},
		{"the witness killed, and later both links cut", s.witnessThenCut},
	}
	for i, a := range acts {
		s.say("▶ %s", a.title)
		s.loadWorst()
		s.worst = 0
		if err := a.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", a.title, err)
		}
		pauses[i] = s.worst
		s.say("  longest time a host's command took: %d ms", pauses[i].Milliseconds())
	}
	return s.end(ctx, pauses)
}

func (s *show) setUp(ctx context.Context) error {
	if err := s.r.StartWitness(); err != nil {
		return err
	}
	for i := range 2 {
		if err := s.r.StartArray(ctx, i); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := s.r.Until(wait, "the arrays to find each other and the witness", func() bool {
		text, _ := s.r.Command(wait, rig.A, "status")
		return strings.Count(text, "answers") >= 2
	}); err != nil {
		return err
	}
	if err := s.r.Protect(ctx, group, volumes, "64m"); err != nil {
		return err
	}
	if err := s.r.UntilSync(ctx, group, 20*time.Second); err != nil {
		return err
	}
	var err error
	if s.host, err = s.r.Host(); err != nil {
		return err
	}
	if s.disks, err = s.host.Wait(wait, volumes); err != nil {
		return err
	}
	for v, d := range s.disks {
		if err := d.WaitPaths(wait, func(p []host.Path) bool { return p[0].State != host.Down && p[1].State != host.Down }); err != nil {
			return err
		}
		s.loads = append(s.loads, newLoad(d, blocks, workers, uint64(v)))
	}
	return s.watch(ctx, 2*time.Second)
}

func (s *show) switchover(ctx context.Context) error {
	for range 2 {
		i := rig.A
		if s.r.Serves(ctx, rig.B, group) {
			i = rig.B
		}
		if _, err := s.r.Command(ctx, i, "setrcopygroup", "switchover", group); err != nil {
			return err
		}
		if err := s.watch(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) kill(ctx context.Context) error {
	if err := s.r.Array(rig.A).Kill(); err != nil {
		return err
	}
	if err := s.watch(ctx, 4*time.Second); err != nil {
		return err
	}
	if !s.r.Serves(ctx, rig.B, group) {
		return fmt.Errorf("array-b does not serve: %s", s.r.GroupLine(ctx, rig.B, group))
	}
	if err := s.r.StartArray(ctx, rig.A); err != nil {
		return err
	}
	return s.untilSync(ctx)
}

func (s *show) cut(ctx context.Context) error {
	if err := s.r.CutLinks(); err != nil {
		return err
	}
	if err := s.watch(ctx, 4*time.Second); err != nil {
		return err
	}
	if err := s.r.HealLinks(); err != nil {
		return err
	}
	return s.untilSync(ctx)
}

func (s *show) witnessThenCut(ctx context.Context) error {
	if err := s.r.WitnessProc().Kill(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := s.r.Until(wait, "a side to be chosen in advance", func() bool {
		text, _ := s.r.Command(wait, rig.A, "explain", group)
		for _, l := range strings.Split(text, "\n") {
			if strings.HasPrefix(l, "record") {
				return strings.Contains(l, "chosen in advance")
			}
		}
		return false
	}); err != nil {
		return err
	}
	s.say("  the arrays agreed who goes on without the witness")
	if err := s.cut(ctx); err != nil {
		return err
	}
	return s.r.StartWitness()
}

// untilSync keeps the timeline going until the pair is whole again.
func (s *show) untilSync(ctx context.Context) error {
	until := time.Now().Add(30 * time.Second)
	for time.Now().Before(until) {
		if err := s.watch(ctx, time.Second); err != nil {
			return err
		}
		if s.r.InSync(ctx, group) {
			return nil
		}
	}
	return s.r.UntilSync(ctx, group, time.Second)
}
