// SPDX-License-Identifier: Apache-2.0

//go:build kernel

package kernel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
)

// stage starts a world with the recommended settings for one scene.
func stage(t *testing.T, build maker, k kind) *world {
	t.Helper()
	s, err := recommended()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(t.Context(), binaries(t), build, k, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.keep()
		w.close()
		if err := w.CheckDisks(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("logs are in %s", w.dir)
			return
		}
		w.remove()
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// steps carries out steps of the failure matrix.
func (w *world) steps(ctx context.Context, steps string) error {
	for _, s := range strings.Split(steps, "; ") {
		if err := w.Step(ctx, group, s); err != nil {
			return fmt.Errorf("%s: %w\n%s", s, err, w.explain())
		}
	}
	return nil
}

// failovers are ten ways for the service to change hands, or to be about to, each with
// what makes good. A serves before each.
var failovers = []struct{ do, then string }{
	{"kill A", "start A"},
	{"switchover", "wait whole"},
	{"cut links", "heal links"},
	{"cut links; cut witness A", "heal links; heal witness A"},
	{"terminate A", "start A"},
	{"isolate A; wait 4s", "rejoin A"},
	{"freeze A; wait 4s", "thaw A"},
	{"break disk A", "kill A; repair disk A; start A"},
	{"kill A; kill B", "start A; start B"},
	{"kill witness; wait chosen; kill B", "start B; start witness"},
}

// withFiles returns a classic group with a volume on which either file system fits.
func withFiles() kind {
	k := kinds()[0]
	k.size = "320m"
	return k
}

// TestDatabase lets SQLite commit through ten failovers, on either file system.
func TestDatabase(t *testing.T) {
	for _, c := range []struct{ fs, journal string }{{"xfs", "wal"}, {"ext4", "delete"}} {
		t.Run(c.fs, func(t *testing.T) {
			w := stage(t, image(t).New, withFiles())
			ctx := t.Context()
			d, err := newDatabase(ctx, w.hosts[0], c.fs, c.journal)
			must(t, err)
			must(t, d.start(ctx))
			must(t, d.goesOn(ctx))
			for _, f := range failovers {
				must(t, w.steps(ctx, f.do))
				if !strings.Contains(f.do, "kill A; kill B") {
					must(t, d.goesOn(ctx))
				}
				must(t, w.steps(ctx, f.then))
				if err := d.goesOn(ctx); err != nil {
					t.Fatalf("after %s; %s: %v\n%s", f.do, f.then, err, w.explain())
				}
				must(t, w.whole(ctx))
				must(t, w.reset(ctx))
			}
			last, gap, err := d.end(ctx)
			must(t, err)
			must(t, d.check(ctx, last))
			// The same through the other array, read from the disk anew.
			must(t, w.steps(ctx, "switchover"))
			must(t, d.check(ctx, last))
			must(t, d.leave(ctx))
			must(t, w.same(ctx))
			t.Logf("SQLite on %s: %d commits through %d failovers, the longest pause between two %.2f s; nothing lost, integrity ok", c.fs, last, len(failovers), gap.Seconds())
		})
	}
}

// TestHostReboots takes the power from a host whose database commits, again and again:
// what it was told is committed is there when it is back.
func TestHostReboots(t *testing.T) {
	s, err := recommended()
	must(t, err)
	for _, fs := range []string{"xfs", "ext4"} {
		t.Run(fs, func(t *testing.T) {
			w := stage(t, image(t).New, withFiles())
			ctx := t.Context()
			h := w.hosts[0]
			d, err := newDatabase(ctx, h, fs, "wal")
			must(t, err)
			last := 0
			for n := range 3 {
				must(t, d.start(ctx))
				must(t, d.goesOn(ctx))
				if n == 1 {
					must(t, w.steps(ctx, "kill A")) // and the array that serves, in the same moment
				}
				must(t, h.PowerOff())
				d.stop() // a connection to a host without power does not end by itself
				<-d.job.Done()
				last, _, err = d.acked()
				must(t, err)
				if n == 1 {
					must(t, w.steps(ctx, "start A"))
				}
				must(t, h.boot(ctx, w.Rig, s))
				_, err = h.Run(ctx, "mkdir -p "+mount)
				must(t, err)
				must(t, d.check(ctx, last))
			}
			must(t, w.whole(ctx))
			must(t, d.leave(ctx))
			must(t, w.same(ctx))
			t.Logf("the host lost its power 3 times with SQLite on %s at work: all of %d commits there, integrity and file system ok", fs, last)
		})
	}
}

// TestFlapping lets paths come and go for a minute: one fabric or an array's ports at a
// time, for moments shorter and longer than hosts notice.
func TestFlapping(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := stage(t, image(t).New, k)
			ctx := t.Context()
			h := w.hosts[0]
			for _, h := range w.hosts {
				must(t, h.startLoad(ctx))
			}
			from, err := h.now(ctx)
			must(t, err)
			rng := rand.New(rand.NewPCG(7, 7))
			flaps := 0
			for end := time.Now().Add(time.Minute); time.Now().Before(end); flaps++ {
				node, fabric := []string{lab.A, lab.B}[rng.IntN(2)], []string{lab.Fabric1, lab.Fabric2}[rng.IntN(2)]
				must(t, w.Lab.Cut(h.name, node, fabric, lab.Both))
				time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
				must(t, w.Lab.Heal(h.name, node, fabric, lab.Both))
				time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
			}
			for _, h := range w.hosts {
				must(t, h.goesOn(ctx))
			}
			to, err := h.now(ctx)
			must(t, err)
			must(t, w.whole(ctx))
			for _, h := range w.hosts {
				s, err := h.stopLoad(ctx)
				must(t, err)
				must(t, s.bad(false))
				t.Logf("%d flaps of one path each: host %s paused %.2f s at most", flaps, h.name, s.pause(from, to).Seconds())
			}
			must(t, w.same(ctx))
		})
	}
}

// TestSwitchovers moves a group there and back under load: what a host sees of that.
func TestSwitchovers(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := stage(t, image(t).New, k)
			ctx := t.Context()
			for _, h := range w.hosts {
				must(t, h.startLoad(ctx))
			}
			var longest [3]time.Duration
			var windows [][2][]time.Time
			for range 6 {
				from, err := w.clocks(ctx)
				must(t, err)
				must(t, w.steps(ctx, "switchover"))
				for _, h := range w.hosts {
					must(t, h.goesOn(ctx))
				}
				to, err := w.clocks(ctx)
				must(t, err)
				windows = append(windows, [2][]time.Time{from, to})
				must(t, w.steps(ctx, "wait whole"))
			}
			for n, h := range w.hosts {
				s, err := h.stopLoad(ctx)
				must(t, err)
				must(t, s.bad(false))
				var each []string
				for _, x := range windows {
					p := s.pause(x[0][n], x[1][n])
					longest[n] = max(longest[n], p)
					each = append(each, fmt.Sprint(p.Milliseconds()))
				}
				t.Logf("host %s: planned switchovers paused it for %s ms", h.name, strings.Join(each, ", "))
			}
			must(t, w.same(ctx))
		})
	}
}
