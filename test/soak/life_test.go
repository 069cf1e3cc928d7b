// SPDX-License-Identifier: Apache-2.0

//go:build soak

package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/rig"
)

const (
	setUpIn = 60 * time.Second
	// wholeIn is how long it may take, once all faults are healed, until both copies of
	// all groups are current, the witness counts and hosts write.
	wholeIn = 90 * time.Second
	volumes = 2 // of each group
	size    = "32m"
	// sampleEvery is how often throughput and pauses are noted.
	sampleEvery = time.Second
)

// mirrored is a group with a host and a load of its own.
type mirrored struct {
	name     string
	policies string

	host *host.Host
	load *load.Load
}

func groups() []mirrored {
	return []mirrored{{name: "classic"}, {name: "active", policies: "active_active"}}
}

// life is a pair of arrays that lives under faults.
type life struct {
	*rig.Rig
	seed   uint64
	groups []mirrored
	began  time.Time
	long   time.Duration

	stop context.CancelFunc // of the one that notes throughput
	done chan struct{}

	operations int

	mu     sync.Mutex
	marks  []mark
	rate   []point // operations per second
	paused []point // the longest wait of a host, ms
	used   [2][]usage
}

// newLife starts a pair with two groups under load.
func newLife(ctx context.Context, bin, dir string, seed uint64) (*life, error) {
	r, err := rig.New(bin, dir, nil)
	if err != nil {
		return nil, err
	}
	l := &life{Rig: r, seed: seed, groups: groups(), done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, setUpIn)
	defer cancel()
	if err := l.setUp(ctx); err != nil {
		r.Close()
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.began = time.Now()
	go l.watch(watch)
	return l, nil
}

func (l *life) setUp(ctx context.Context) error {
	if err := l.StartPair(ctx); err != nil {
		return err
	}
	for n := range l.groups {
		g := &l.groups[n]
		iqn := "iqn.2026-01.org.example:" + g.name
		cmds := [][]string{{"createhost", g.name, iqn}, {"creatercopygroup", g.name, rig.Name(rig.B) + ":sync"}}
		for v := range volumes {
			name := fmt.Sprintf("%s.%d", g.name, v)
			cmds = append(cmds, []string{"admitrcopyvv", "-createvv", "-size", size, name, g.name}, []string{"createvlun", name, fmt.Sprint(v), g.name})
		}
		cmds = append(cmds, []string{"startrcopygroup", "-wait", g.name})
		if g.policies != "" {
			cmds = append(cmds, []string{"setrcopygroup", "pol", g.policies, g.name}, []string{"admitrcopyhost", "-proximity", "all", g.name, g.name})
		}
		for _, c := range cmds {
			if _, err := l.Command(ctx, rig.A, c...); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(c, " "), err)
			}
		}
		var err error
		if g.host, err = l.HostNamed(iqn); err != nil {
			return err
		}
		disks, err := g.host.Wait(ctx, volumes)
		if err != nil {
			return err
		}
		o := load.Options{Workers: 3, Think: 3 * time.Millisecond, Reads: 0.4, Seed: l.seed + uint64(n)}
		for _, d := range disks {
			o.Disks = append(o.Disks, d)
		}
		if g.load, err = load.New(o); err != nil {
			return err
		}
		g.load.Start()
	}
	return l.whole(ctx)
}

func (l *life) close() {
	l.stop()
	<-l.done
	for _, g := range l.groups {
		g.host.Close()
	}
	l.Close()
}

func (l *life) since() time.Duration { return time.Since(l.began) }

func (l *life) mark(m mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks, m)
}

// watch notes what hosts do.
func (l *life) watch(ctx context.Context) {
	defer close(l.done)
	var windows []*host.Window
	for _, g := range l.groups {
		windows = append(windows, g.host.Meter().Open())
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		done, longest := 0, time.Duration(0)
		for _, w := range windows {
			c := w.Take()
			done += c.Reads + c.Writes
			longest = max(longest, c.Longest)
		}
		l.mu.Lock()
		at := l.since()
		l.operations += done
		l.rate = append(l.rate, point{at, float64(done) / sampleEvery.Seconds()})
		l.paused = append(l.paused, point{at, float64(longest.Milliseconds())})
		l.mu.Unlock()
	}
}

// whole waits until everything is as if nothing had happened.
func (l *life) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	for _, g := range l.groups {
		if err := l.UntilSync(ctx, g.name, wholeIn); err != nil {
			return err
		}
		if err := l.Step(ctx, g.name, "wait armed"); err != nil {
			return fmt.Errorf("group %s: %w\n%s", g.name, err, l.explain(g.name))
		}
		before := g.load.Acknowledged()
		err := l.Until(ctx, "hosts of group "+g.name+" to write", func() bool { return g.load.Acknowledged() > before+20 })
		if err != nil {
			return fmt.Errorf("%w\n%s", err, l.explain(g.name))
		}
	}
	return nil
}

func (l *life) explain(group string) (text string) {
	for i := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		out, err := l.Command(ctx, i, "explain", group)
		cancel()
		if err != nil {
			out = err.Error() + "\n"
		}
		text += rig.Name(i) + ":\n" + out
	}
	return text
}

// sample notes what the daemons use at a quiet moment.
func (l *life) sample() error {
	for i := range l.used {
		u, err := look(l.Array(i), l.since())
		if err == nil {
			err = ask(l.Array(i), &u)
		}
		if err != nil {
			return fmt.Errorf("what %s uses: %w", rig.Name(i), err)
		}
		l.used[i] = append(l.used[i], u)
	}
	return nil
}

// flat says what grew.
func (l *life) flat(logf func(string, ...any)) (err error) {
	for i := range l.used {
		lived, e := growth(l.used[i])
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", rig.Name(i), e))
		}
		if lived == 0 {
			logf("%s: no life was long enough to say whether it is flat", rig.Name(i))
			continue
		}
		last := l.used[i][len(l.used[i])-1]
		logf("%s: flat over a life of %v; in the end %.0f MiB, %.0f goroutines, %.0f descriptors", rig.Name(i), lived.Round(time.Second), last.resident, last.goroutines, last.descriptors)
	}
	return err
}

// wrong returns how many blocks were not what they must be, and how many commands failed.
func (l *life) wrong() (lost, failed uint64) {
	for _, g := range l.groups {
		lost += g.load.Faults()
		failed += g.load.Failed()
	}
	return lost, failed
}

func (l *life) err() error {
	var err error
	for _, g := range l.groups {
		err = errors.Join(err, g.load.Err())
	}
	return err
}

// verify stops the hosts, reads everything through both arrays, and compares.
func (l *life) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*wholeIn)
	defer cancel()
	for _, g := range l.groups {
		g.load.Stop()
		var pictures [2]load.Picture
		for turn := range pictures {
			i, err := l.Serving(ctx, g.name)
			if err != nil {
				return err
			}
			if turn == 1 {
				if err := l.move(ctx, g.name, 1-i); err != nil {
					return err
				}
				i = 1 - i
			}
			if pictures[turn], err = g.load.Verify(ctx, rig.Name(i)); err != nil {
				return fmt.Errorf("read group %s through %s: %w", g.name, rig.Name(i), err)
			}
		}
		if all, different := pictures[0].Compare(pictures[1]); different > 0 {
			return fmt.Errorf("group %s: the copies differ in %d of %d blocks", g.name, different, all)
		}
		if lost, failed := l.wrong(); lost+failed > 0 {
			return l.err()
		}
		g.load.Start()
	}
	return nil
}

// move lets an array serve a group. Where others want the processors an array may take the
// other for dead at any moment: then it is asked for again.
func (l *life) move(ctx context.Context, group string, to int) error {
	var last error
	err := l.Until(ctx, rig.Name(to)+" to serve group "+group, func() bool {
		at, err := l.Serving(ctx, group)
		if err == nil && at != to {
			_, last = l.Command(ctx, at, "setrcopygroup", "switchover", group)
		}
		return err == nil && at == to
	})
	if err != nil {
		return fmt.Errorf("%w, %v\n%s", err, last, l.explain(group))
	}
	return nil
}

// picture draws the run.
func (l *life) picture() string {
	colours := [2]string{"#06c", "#c60"}
	of := func(title string, v func(usage) float64) panel {
		p := panel{title: title}
		for i := range l.used {
			s := series{name: rig.Name(i), colour: colours[i]}
			for _, u := range l.used[i] {
				s.points = append(s.points, point{u.at, v(u)})
			}
			p.lines = append(p.lines, s)
		}
		return p
	}
	return draw(max(l.long, l.since()), []panel{
		{"operations per second", []series{{"hosts", "#333", l.rate}}},
		{"longest wait of a command, ms", []series{{"hosts", "#333", l.paused}}},
		of("resident memory, MiB", func(u usage) float64 { return u.resident }),
		of("heap, MiB", func(u usage) float64 { return u.heap }),
		of("goroutines", func(u usage) float64 { return u.goroutines }),
		of("open descriptors", func(u usage) float64 { return u.descriptors }),
	}, l.marks)
}
