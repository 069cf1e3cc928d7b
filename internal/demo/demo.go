// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "demo"
	volumes = 3
	blocks  = 4096 // of each volume are used, 4 KiB each
	workers = 16
	setUpIn = 30 * time.Second
	wholeIn = 40 * time.Second // how long a lost array or link may take to be made good
)

// Options say where things are.
type Options struct {
	// Bin holds perdured and perdure-witness, Dir gets data and logs.
	Bin, Dir string
	Out      io.Writer
	Color    bool
}

// show is one run.
type show struct {
	r     *rig.Rig
	out   io.Writer
	color bool
	began time.Time

	host  *host.Host
	disks []*host.Disk
	load  *load.Load
	line  *host.Window // since the last line
	at    time.Time    // of the last line
	told  [2]int       // events already shown, by array
}

// Run plays the demo.
func Run(ctx context.Context, o Options) error {
	r, err := rig.New(o.Bin, o.Dir, nil)
	if errors.Is(err, lab.ErrUnsupported) {
		return fmt.Errorf("%w: the demo needs user and network namespaces; the kernel's user.max_user_namespaces, "+
			"kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns may forbid them", err)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	s := &show{r: r, out: o.Out, color: o.Color, began: time.Now(), at: time.Now()}
	s.explain()
	if err := s.setUp(ctx); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	defer s.host.Close()
	pauses, err := s.play(ctx)
	s.load.Stop()
	if err == nil {
		err = s.judge(ctx)
	}
	if e := s.load.Err(); e != nil {
		err = errors.Join(err, fmt.Errorf("%d blocks wrong, %d commands failed:\n%w", s.load.Faults(), s.load.Failed(), e))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "demo: ok: 0 of %d acknowledged writes lost; pauses: switchover %d ms, array killed %d ms, link cut %d ms, witness lost then link cut %d ms\n",
		s.load.Acknowledged(), pauses[0].Milliseconds(), pauses[1].Milliseconds(), pauses[2].Milliseconds(), pauses[3].Milliseconds())
	return nil
}

func (s *show) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setUpIn)
	defer cancel()
	if err := s.r.StartPair(ctx); err != nil {
		return err
	}
	if err := s.r.Protect(ctx, group, volumes, "64m"); err != nil {
		return err
	}
	if err := s.r.UntilSync(ctx, group, setUpIn); err != nil {
		return err
	}
	h, err := s.r.Host()
	if err != nil {
		return err
	}
	s.host = h
	if err := s.startLoad(ctx); err != nil {
		h.Close()
		return err
	}
	return nil
}

func (s *show) startLoad(ctx context.Context) (err error) {
	if s.disks, err = s.host.Wait(ctx, volumes); err != nil {
		return err
	}
	o := load.Options{Blocks: blocks, Workers: workers, Reads: 0.3, Seed: uint64(time.Now().UnixNano())}
	for _, d := range s.disks {
		if err := d.WaitPaths(ctx, func(p []host.Path) bool { return count(p, host.Down) == 0 }); err != nil {
			return err
		}
		o.Disks = append(o.Disks, d)
	}
	if s.load, err = load.New(o); err != nil {
		return err
	}
	s.line = s.host.Meter().Open()
	s.load.Start()
	return nil
}

func count(paths []host.Path, s host.State) (n int) {
	for _, p := range paths {
		if p.State == s {
			n++
		}
	}
	return n
}

// play plays the acts and returns the longest pause of each.
func (s *show) play(ctx context.Context) (pauses [4]time.Duration, err error) {
	if err := s.watch(ctx, 2*time.Second); err != nil {
		return pauses, err
	}
	for i, a := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"planned switchover to the other array, and back", s.switchover},
		{"kill -9 of the serving array; it comes back", s.kill},
		{"all links between the arrays cut; they heal", s.cut},
		{"the witness killed; later all links cut; all comes back", s.witnessThenCut},
	} {
		s.say(1, "▶ %s", a.title)
		w := s.host.Meter().Open()
		err := a.play(ctx)
		pauses[i] = w.Close().Longest
		if err != nil {
			return pauses, fmt.Errorf("%s: %w", a.title, err)
		}
		s.say(1, "  longest a host's command took: %d ms", pauses[i].Milliseconds())
	}
	return pauses, nil
}

func (s *show) switchover(ctx context.Context) error {
	for range 2 {
		i, err := s.r.Serving(ctx, group)
		if err != nil {
			return err
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
	i, err := s.r.Serving(ctx, group)
	if err != nil {
		return err
	}
	if err := s.r.Array(i).Kill(); err != nil {
		return err
	}
	if err := s.watch(ctx, 4*time.Second); err != nil {
		return err
	}
	if now, err := s.r.Serving(ctx, group); err != nil || now == i {
		return errors.Join(errors.New("the other array did not take over"), err)
	}
	if err := s.r.StartArray(ctx, i); err != nil {
		return err
	}
	s.told[i] = 0 // its events begin anew
	return s.untilWhole(ctx)
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
	return s.untilWhole(ctx)
}

func (s *show) witnessThenCut(ctx context.Context) error {
	if err := s.r.Witness().Kill(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, setUpIn)
	defer cancel()
	if err := s.r.Until(wait, "a side to be chosen in advance", func() bool { return s.chosen(wait) }); err != nil {
		return err
	}
	s.say(0, "  the arrays have agreed which of them goes on without the witness")
	if err := s.watch(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := s.cut(ctx); err != nil {
		return err
	}
	if err := s.r.StartWitness(); err != nil {
		return err
	}
	if err := s.r.Until(wait, "the witness to count again", func() bool { return !s.chosen(wait) }); err != nil {
		return err
	}
	return s.untilWhole(ctx)
}

// chosen reports whether the record names a side chosen in advance, on both arrays.
func (s *show) chosen(ctx context.Context) bool {
	return strings.Contains(s.r.Record(ctx, rig.A, group), "chosen in advance") &&
		strings.Contains(s.r.Record(ctx, rig.B, group), "chosen in advance")
}

// untilWhole keeps the timeline going until the pair is whole again.
func (s *show) untilWhole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	for !s.r.InSync(ctx, group) {
		if ctx.Err() != nil {
			return s.r.UntilSync(context.WithoutCancel(ctx), group, time.Second) // which says what is wrong
		}
		if err := s.watch(ctx, time.Second); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return s.watch(ctx, time.Second)
}
