// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/matrix"
	"github.com/perdure/perdure/internal/rig"
)

const (
	settleIn = 15 * time.Second
	// idle is how long nobody may serve where nobody must.
	idle = 4 * time.Second
)

// outcome is what came of a row.
type outcome struct {
	serves string
	writes int
	hosts  []hostOutcome
}

// hostOutcome is what a host saw of it.
type hostOutcome struct {
	name  string
	pause time.Duration
	ended time.Time
	lost  bool // the only array that it sees had left the group, or could not be reached
}

// play plays a row in a world that is in good order, and leaves it so.
func (w *world) play(ctx context.Context, r matrix.Row) (o outcome, err error) {
	members := w.watchMembers(ctx)
	members.cut = r.Do
	defer members.end()
	for _, h := range w.hosts {
		if err := h.startLoad(ctx); err != nil {
			return o, fmt.Errorf("before anything happened: %w\n%s", err, w.explain())
		}
	}
	from, err := w.clocks(ctx)
	if err != nil {
		return o, err
	}
	for _, s := range r.Do {
		if err := w.Step(ctx, group, s); err != nil {
			return o, fmt.Errorf("%s: %w", s, err)
		}
	}
	if o.serves, err = w.settle(ctx, r.Serves); err != nil {
		return o, err
	}
	if r.Serves != "none" {
		if err := w.goOn(ctx, members.lost); err != nil {
			return o, err
		}
	}
	to, err := w.clocks(ctx)
	if err != nil {
		return o, err
	}
	for _, s := range r.Then {
		if err := w.Step(ctx, group, s); err != nil {
			return o, fmt.Errorf("%s: %w", s, err)
		}
	}
	if err := w.whole(ctx); err != nil {
		return o, err
	}
	switch i, err := w.Serving(ctx, group); {
	case err != nil:
		return o, err
	case !r.BackTo(string(rune('A' + i))):
		return o, fmt.Errorf("in sync again, but %s serves, want %s", rig.Name(i), r.Back)
	}
	for n, h := range w.hosts {
		lost := members.lost(h)
		if !lost {
			// What was written meanwhile fio looks at while it writes on.
			if err := h.goesOn(ctx); err != nil {
				return o, fmt.Errorf("%w\n%s", err, w.explain())
			}
		}
		s, err := h.stopLoad(ctx)
		if err != nil {
			return o, err
		}
		slowest := s.slowest(from[n], to[n])
		o.hosts = append(o.hosts, hostOutcome{h.name, slowest.took, slowest.at, lost})
		o.writes += s.writes
		if e := s.bad(lost); e != nil {
			return o, fmt.Errorf("host %s: %w", h.name, e)
		}
	}
	members.stop()
	if err := w.again(ctx, members.lost); err != nil {
		return o, err
	}
	return o, errors.Join(members.twice(), w.same(ctx))
}

// clocks returns each host's own time.
func (w *world) clocks(ctx context.Context) (times []time.Time, err error) {
	for _, h := range w.hosts {
		t, err := h.now(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	return times, nil
}

// settle waits until the one that must serve serves, or makes sure that nobody does.
func (w *world) settle(ctx context.Context, want string) (string, error) {
	if want != "none" {
		ctx, cancel := context.WithTimeout(ctx, settleIn)
		defer cancel()
		if err := w.Step(ctx, group, "wait serving "+want); err != nil {
			return "", fmt.Errorf("%w\n%s", err, w.explain())
		}
		return want, nil
	}
	time.Sleep(2 * time.Second) // what was under way may end
	before, err := w.writes(ctx)
	if err != nil {
		return "", err
	}
	for end := time.Now().Add(idle); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if w.Says(ctx, rig.A, group) || w.Says(ctx, rig.B, group) {
			return "", fmt.Errorf("an array serves, and nobody may\n%s", w.explain())
		}
	}
	after, err := w.writes(ctx)
	if err == nil && after != before {
		err = fmt.Errorf("%d writes were carried out while nobody may serve", after-before)
	}
	return "none", err
}

// writes returns what all hosts together have written.
func (w *world) writes(ctx context.Context) (all int, err error) {
	for _, h := range w.hosts {
		n, err := h.written(ctx)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// again makes sure that hosts whose array was lost can work with it again.
func (w *world) again(ctx context.Context, lost func(*linux) bool) error {
	for _, h := range w.hosts {
		if !lost(h) {
			continue
		}
		if err := h.startLoad(ctx); err != nil {
			return fmt.Errorf("its array is back, but %w", err)
		}
		s, err := h.stopLoad(ctx)
		if err = errors.Join(err, s.bad(false)); err != nil {
			return fmt.Errorf("host %s, whose array is back: %w", h.name, err)
		}
	}
	return nil
}

// goOn makes sure that every host writes on, if it has not lost its array.
func (w *world) goOn(ctx context.Context, lost func(*linux) bool) error {
	for _, h := range w.hosts {
		if lost(h) {
			continue
		}
		if err := h.goesOn(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, w.explain())
		}
	}
	return nil
}

// whole waits until both copies are current and every host has all its paths.
func (w *world) whole(ctx context.Context) error {
	if err := w.UntilSync(ctx, group, wholeIn); err != nil {
		return err
	}
	for _, h := range w.hosts {
		if err := h.untilPaths(ctx, 2*len(h.arrays)); err != nil {
			return fmt.Errorf("%w\n%s", err, w.explain())
		}
	}
	return nil
}

// same makes sure that both copies are the same: the arrays compare them, and the host
// that sees both reads all of its volume through each.
func (w *world) same(ctx context.Context) error {
	if out, err := w.Command(ctx, rig.A, "verify", group); err != nil {
		return fmt.Errorf("the arrays compare their copies: %w\n%s", err, out)
	}
	var sums [2]string
	for turn := range sums {
		i, err := w.Serving(ctx, group)
		if err != nil {
			return err
		}
		if turn == 1 {
			if err := w.Step(ctx, group, "switchover"); err != nil {
				return fmt.Errorf("switchover: %w\n%s", err, w.explain())
			}
			i = 1 - i
		}
		if sums[turn], err = w.hosts[0].sum(ctx, i); err != nil {
			return err
		}
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("host %s reads different things through the two arrays: %q, %q", w.hosts[0].name, sums[0], sums[1])
	}
	return nil
}

// reset puts everything as it was before the first row.
func (w *world) reset(ctx context.Context) error {
	var err error
	for _, n := range []string{lab.Link1, lab.Link2} {
		err = errors.Join(err, w.Lab.Shape(lab.A, lab.B, n, lab.Both, lab.Shape{}))
	}
	if err != nil {
		return err
	}
	i, err := w.Serving(ctx, group)
	if err != nil {
		return err
	}
	if _, err := w.Command(ctx, i, "setrcopygroup", "pol", "no_prefer", group); err != nil {
		return err
	}
	if i != rig.A {
		if err := w.Step(ctx, group, "switchover"); err != nil {
			return err
		}
	}
	// Some rows are made good without the witness.
	select {
	case <-w.Witness().Done():
		if err := w.StartWitness(); err != nil {
			return err
		}
	default:
	}
	if err := w.Step(ctx, group, "wait armed"); err != nil {
		return fmt.Errorf("%w\n%s", err, w.explain())
	}
	return w.whole(ctx)
}

func (w *world) explain() (text string) {
	for i := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		out, err := w.Command(ctx, i, "explain", group)
		cancel()
		if err != nil {
			out = err.Error() + "\n"
		}
		text += rig.Name(i) + ":\n" + out
	}
	return text
}

// members watches who is in the group.
type members struct {
	w     *world
	alone [2]atomic.Bool // an array was in it without the other
	cut   []string       // what is done in the row
	both  atomic.Bool    // both arrays said that they serve
	end   context.CancelFunc
	done  chan struct{}
}

func (w *world) watchMembers(ctx context.Context) *members {
	ctx, end := context.WithCancel(ctx)
	m := &members{w: w, end: end, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			for i := range m.alone {
				r := w.Record(ctx, i, group)
				for side, name := range [2]string{"{A}", "{B}"} {
					if strings.Contains(r, name) {
						m.alone[side].Store(true)
					}
				}
			}
			if w.kind.policies == "" && w.Says(ctx, rig.A, group) && w.Says(ctx, rig.B, group) && w.Says(ctx, rig.A, group) {
				m.both.Store(true)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return m
}

// lost reports whether a host sees one array only, and that one was left out, or the host has
// no path to it.
func (m *members) lost(h *linux) bool {
	return len(h.arrays) == 1 && (m.alone[1-h.arrays[0]].Load() || slices.Contains(m.cut, "cut host "+string(rune('A'+h.arrays[0]))))
}

func (m *members) stop() {
	m.end()
	<-m.done
}

func (m *members) twice() error {
	if m.both.Load() {
		return errors.New("both arrays said that they serve")
	}
	return nil
}
