// SPDX-License-Identifier: Apache-2.0

//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/matrix"
	"github.com/perdure/perdure/internal/rig"
)

const (
	group   = "g"
	volumes = 2
	blocks  = 2048
	workers = 6
	think   = time.Millisecond
	setUpIn = 30 * time.Second
	// settleIn is how long it may take until who must serve serves; pauses have
	// narrower limits of their own.
	settleIn = 12 * time.Second
	// idle is how long nobody may serve where nobody must.
	idle    = 4 * time.Second
	wholeIn = 40 * time.Second
)

// player plays one row.
type player struct {
	r     *rig.Rig
	host  *host.Host
	disks []*host.Disk
	load  *load.Load
	stop  context.CancelFunc // of the watchman
	done  chan struct{}
	twice error // both arrays said that they serve; valid once done is closed
}

// outcome is what came of a row.
type outcome struct {
	serves string
	pause  time.Duration
	acked  uint64
}

// newPlayer brings up a pair in good order, under load.
func newPlayer(ctx context.Context, bin, dir string, logf func(string, ...any)) (*player, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpIn)
	defer cancel()
	r, err := rig.New(bin, dir, logf)
	if err != nil {
		return nil, err
	}
	p := &player{r: r, done: make(chan struct{}), stop: func() {}}
	if err := p.setUp(ctx); err != nil {
		p.close()
		return nil, fmt.Errorf("set up: %w", err)
	}
	watch, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.watch(watch)
	return p, nil
}

func (p *player) setUp(ctx context.Context) error {
	if err := p.r.StartPair(ctx); err != nil {
		return err
	}
	if err := p.r.Protect(ctx, group, volumes, "64m"); err != nil {
		return err
	}
	if err := p.r.UntilSync(ctx, group, setUpIn); err != nil {
		return err
	}
	if err := p.r.Step(ctx, group, "wait armed"); err != nil {
		return err
	}
	h, err := p.r.Host()
	if err != nil {
		return err
	}
	p.host = h
	if p.disks, err = h.Wait(ctx, volumes); err != nil {
		return err
	}
	o := load.Options{Blocks: blocks, Workers: workers, Think: think, Reads: 0.3, Seed: uint64(time.Now().UnixNano())}
	for _, d := range p.disks {
		up := func(paths []host.Path) bool {
			for _, x := range paths {
				if x.State == host.Down {
					return false
				}
			}
			return true
		}
		if err := d.WaitPaths(ctx, up); err != nil {
			return err
		}
		o.Disks = append(o.Disks, d)
	}
	if p.load, err = load.New(o); err != nil {
		return err
	}
	p.load.Start()
	return p.r.Step(ctx, group, "wait 1s")
}

func (p *player) close() {
	p.stop()
	if p.host != nil {
		p.host.Close()
	}
	p.r.Close()
}

// checkDisks says what a row left wrong on the arrays' disks.
func (p *player) checkDisks(ctx context.Context) error { return p.r.CheckDisks(ctx) }

// watch looks again and again whether both arrays say that they serve.
func (p *player) watch(ctx context.Context) {
	defer close(p.done)
	for ctx.Err() == nil {
		p.wait(ctx, "50ms")
		if p.r.Says(ctx, rig.A, group) && p.r.Says(ctx, rig.B, group) && p.r.Says(ctx, rig.A, group) {
			// A, then B, then A again: one of the two changes between the first and the
			// second is honest, two within some milliseconds are not.
			p.twice = errors.Join(p.twice, errors.New("both arrays say that they serve"))
		}
	}
}

// serving returns who serves by his own word.
func (p *player) serving(ctx context.Context) string {
	switch {
	case p.r.Says(ctx, rig.A, group):
		return "A"
	case p.r.Says(ctx, rig.B, group):
		return "B"
	}
	return "none"
}

// play plays a row and returns what came of it, also with an error.
func (p *player) play(ctx context.Context, r matrix.Row) (o outcome, err error) {
	w := p.host.Meter().Open()
	for _, s := range r.Do {
		if err := p.r.Step(ctx, group, s); err != nil {
			return o, fmt.Errorf("%s: %w", s, err)
		}
	}
	o.serves, err = p.settle(ctx, r.Serves)
	o.pause = w.Close().Longest
	if err != nil {
		return o, err
	}
	if r.Pause > 0 && o.pause > r.Pause {
		err = late{o.pause, r.Pause}
	}
	for _, s := range r.Then {
		if e := p.r.Step(ctx, group, s); e != nil {
			return o, errors.Join(err, fmt.Errorf("%s: %w", s, e))
		}
	}
	if e := p.r.UntilSync(ctx, group, wholeIn); e != nil {
		return o, errors.Join(err, e)
	}
	if e := p.progress(ctx); e != nil {
		return o, errors.Join(err, fmt.Errorf("in sync again, but %w", e))
	}
	switch i, e := p.r.Serving(ctx, group); {
	case e != nil:
		return o, errors.Join(err, fmt.Errorf("in sync again, but %w", e))
	case !r.BackTo(map[int]string{rig.A: "A", rig.B: "B"}[i]):
		err = errors.Join(err, fmt.Errorf("in sync again, but %s serves, want %s", rig.Name(i), r.Back))
	}
	return o, errors.Join(err, p.judge(ctx, &o))
}

// settle waits until the one that must serve serves, and the host goes on; or makes
// sure that nobody serves and the host stands still.
func (p *player) settle(ctx context.Context, want string) (string, error) {
	if want == "none" {
		return p.nobody(ctx)
	}
	end := time.Now().Add(settleIn)
	for p.serving(ctx) != want {
		if time.Now().After(end) {
			return p.serving(ctx), fmt.Errorf("%s serves after %v, want %s\n%s", p.serving(ctx), settleIn, want, p.explain(ctx))
		}
		p.wait(ctx, "20ms")
	}
	return want, p.progress(ctx)
}

// nobody makes sure that nobody serves, once what was under way has ended.
func (p *player) nobody(ctx context.Context) (string, error) {
	p.wait(ctx, "2s")
	before := p.load.Acknowledged()
	for end := time.Now().Add(idle); time.Now().Before(end); p.wait(ctx, "100ms") {
		if got := p.serving(ctx); got != "none" {
			return got, fmt.Errorf("%s serves, and nobody may\n%s", got, p.explain(ctx))
		}
	}
	if n := p.load.Acknowledged() - before; n > 0 {
		return "none", fmt.Errorf("%d writes were acknowledged while nobody may serve", n)
	}
	return "none", nil
}

// progress makes sure that the host's writes go on.
func (p *player) progress(ctx context.Context) error {
	before := p.load.Acknowledged()
	for end := time.Now().Add(settleIn); time.Now().Before(end); p.wait(ctx, "20ms") {
		if p.load.Acknowledged() > before+workers {
			return nil
		}
	}
	return fmt.Errorf("the host stands still; paths %v\n%s", p.disks[0].Paths(), p.explain(ctx))
}

// wait lets some time pass.
func (p *player) wait(ctx context.Context, long string) {
	_ = p.r.Step(ctx, group, "wait "+long) // ends early with ctx, which the caller sees
}

func (p *player) explain(ctx context.Context) (text string) {
	for i := range 2 {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		t, err := p.r.Command(ctx, i, "explain", group)
		cancel()
		if err != nil {
			t = err.Error() + "\n"
		}
		text += rig.Name(i) + ":\n" + t
	}
	return text
}

// judge ends the load and compares everything.
func (p *player) judge(ctx context.Context, o *outcome) error {
	ctx, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	p.load.Stop()
	p.stop()
	<-p.done
	o.acked = p.load.Acknowledged()
	var pictures [2]load.Picture
	for turn := range pictures {
		i, err := p.r.Serving(ctx, group)
		if err != nil {
			return err
		}
		if turn == 1 {
			if _, err := p.r.Command(ctx, i, "setrcopygroup", "switchover", group); err != nil {
				return err
			}
			i = 1 - i
		}
		if pictures[turn], err = p.load.Verify(ctx, rig.Name(i)); err != nil {
			return err
		}
	}
	err := p.twice
	if all, different := pictures[0].Compare(pictures[1]); different > 0 {
		err = errors.Join(err, fmt.Errorf("the copies differ in %d of %d blocks", different, all))
	}
	if p.load.Faults() > 0 || p.load.Failed() > 0 {
		err = errors.Join(err, fmt.Errorf("%d blocks wrong, %d commands failed: %w", p.load.Faults(), p.load.Failed(), p.load.Err()))
	}
	return err
}
