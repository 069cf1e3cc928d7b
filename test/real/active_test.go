// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// site is a host of a group that both arrays serve, with a volume and a load of its own.
type site struct {
	name   string
	arrays []int
	host   *host.Host
	disk   *host.Disk
	load   *load.Load
}

// TestActiveScenarios plays what may happen to a group that both arrays serve: to a host
// that sees both (Active Peer Persistence) and to one near each array that sees no other
// (Active Sync). Array A is the group's home and owns it. docs/failure-scenarios.md has
// the outcome.
func TestActiveScenarios(t *testing.T) {
	for _, c := range []struct {
		name string
		hit  func(w *sites) (heal func())
		// goOn are the hosts that go on; the others have lost their array.
		goOn string
	}{
		{"the owner dies", func(w *sites) func() { return w.kill(rig.A) }, "both east"},
		{"the other array dies", func(w *sites) func() { return w.kill(rig.B) }, "both west"},
		{"the links are cut", func(w *sites) func() {
			w.must(w.CutLinks())
			return func() { w.must(w.HealLinks()) }
		}, "both west"},
		{"the hosts' ways to the owner are cut", func(w *sites) func() { return w.isolate(rig.A) }, "both east"},
		{"the hosts' ways to the other array are cut", func(w *sites) func() { return w.isolate(rig.B) }, "both west"},
		{"the owner's disks fail", func(w *sites) func() { return w.breakDisks(rig.A) }, "both east"},
		{"the other array's disks fail", func(w *sites) func() { return w.breakDisks(rig.B) }, "both west"},
		{"the owner's site is lost", func(w *sites) func() {
			bury, rejoin := w.kill(rig.A), w.isolate(rig.A)
			return func() { rejoin(); bury() }
		}, "both east"},
		{"the links are cut, and the group prefers the other array", func(w *sites) func() {
			w.command(rig.A, "setrcopygroup", "pol", "prefer="+rig.Name(rig.B), group)
			w.must(w.CutLinks())
			return func() { w.must(w.HealLinks()) }
		}, "both east"},
		{"the owner is shut down", func(w *sites) func() { return w.shutDown(rig.A) }, "both east"},
		{"the other array is shut down", func(w *sites) func() { return w.shutDown(rig.B) }, "both west"},
		{"the group is stopped", func(w *sites) func() {
			w.command(rig.A, "stoprcopygroup", "-f", group)
			return func() { w.command(rig.A, "startrcopygroup", group) }
		}, "both west"},
		{"the owner stands still", func(w *sites) func() { return w.still(rig.A) }, "both east"},
		{"the other array stands still", func(w *sites) func() { return w.still(rig.B) }, "both west"},
		{"nothing comes from the owner to the other array", func(w *sites) func() { return w.deaf(lab.A, lab.B) }, "both west"},
		{"nothing comes from the other array to the owner", func(w *sites) func() { return w.deaf(lab.B, lab.A) }, "both west"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			w := newSites(t)
			windows := w.open()
			heal := c.hit(w)
			goOn := strings.Fields(c.goOn)
			w.goOn(goOn)
			if slices.Contains(goOn, "both") {
				w.lostTo(goOn)
			}
			line := c.name + ":"
			for i, s := range w.all {
				if !slices.Contains(goOn, s.name) {
					line += fmt.Sprintf(" %s has lost its array;", s.name)
					continue
				}
				line += fmt.Sprintf(" %s paused %d ms;", s.name, windows[i].Close().Longest.Milliseconds())
			}
			t.Log(line)
			heal()
			w.judge()
		})
	}
}

// sites are the three hosts of a pair.
type sites struct {
	*pair
	all []*site
}

func newSites(t *testing.T) *sites {
	t.Helper()
	p := newSmall(t, 3, "32m")
	w := &sites{pair: p, all: []*site{{name: "west", arrays: []int{rig.A}}, {name: "east", arrays: []int{rig.B}}, {name: "both", arrays: []int{rig.A, rig.B}}}}
	p.command(rig.A, "setrcopygroup", "pol", "active_active,permanent_loss", group)
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	for i, s := range w.all {
		iqn := "iqn.2026-01.org.example:" + s.name
		p.command(rig.A, "createhost", s.name, iqn)
		p.command(rig.A, "createvlun", fmt.Sprintf("%s.%d", group, i), "0", s.name)
		p.command(rig.A, "admitrcopyhost", "-proximity", "all", group, s.name)
		var err error
		s.host, err = p.HostNamed(iqn, s.arrays...)
		p.must(err)
		t.Cleanup(s.host.Close)
		disks, err := s.host.Wait(ctx, 1)
		p.must(err)
		s.disk = disks[0]
		s.load, err = load.New(load.Options{Disks: []load.Disk{s.disk}, Blocks: blocks, Workers: 2, Think: 2 * time.Millisecond, Reads: 0.3, Seed: uint64(time.Now().UnixNano())})
		p.must(err)
	}
	w.ready()
	for _, s := range w.all {
		s.load.Start()
	}
	w.goOn([]string{"west", "east", "both"})
	return w
}

// ready waits until every path is optimized.
func (w *sites) ready() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), wholeIn)
	defer cancel()
	for _, s := range w.all {
		w.must(s.disk.WaitPaths(ctx, func(paths []host.Path) bool {
			return !slices.ContainsFunc(paths, func(x host.Path) bool { return x.State != host.Optimized })
		}))
	}
}

func (w *sites) open() (windows []*host.Window) {
	for _, s := range w.all {
		windows = append(windows, s.host.Meter().Open())
	}
	return windows
}

// goOn makes sure that hosts write on.
func (w *sites) goOn(names []string) {
	w.t.Helper()
	for _, s := range w.all {
		if !slices.Contains(names, s.name) {
			continue
		}
		before := s.load.Acknowledged()
		w.until(goesOnIn, "host "+s.name+" to go on", func() bool { return s.load.Acknowledged() > before+100 })
	}
}

// lostTo makes sure that the hosts that are not named have no path that they would use.
func (w *sites) lostTo(names []string) {
	w.t.Helper()
	for _, s := range w.all {
		if slices.Contains(names, s.name) {
			continue
		}
		w.until(goesOnIn, "host "+s.name+" to know that its array is lost", func() bool {
			return !slices.ContainsFunc(s.disk.Paths(), func(x host.Path) bool { return x.State == host.Optimized || x.State == host.NonOptimized })
		})
	}
}

func (w *sites) kill(i int) func() {
	w.must(w.Array(i).Kill())
	return func() { w.start(i) }
}

// breakDisks lets every write of an array beyond the first bytes of a file fail, until its
// next process.
func (w *sites) breakDisks(i int) func() {
	w.must(unix.Prlimit(w.Array(i).Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}, nil))
	return func() {
		w.must(w.Array(i).Kill())
		w.start(i)
	}
}

var stillFor = flag.Duration("real.still", 4*time.Second, "how long an array stands still in TestActiveScenarios")

// still stops an array's process, and lets it go on after a while.
func (w *sites) still(i int) func() {
	w.must(w.Array(i).Stop())
	end := time.Now().Add(*stillFor)
	return func() {
		time.Sleep(time.Until(end))
		w.must(w.Array(i).Cont())
	}
}

// deaf lets nothing pass the links one way.
func (w *sites) deaf(from, to string) func() {
	for _, n := range []string{lab.Link1, lab.Link2} {
		w.must(w.Lab.Cut(from, to, n, lab.OneWay))
	}
	return func() { w.must(w.HealLinks()) }
}

func (w *sites) shutDown(i int) func() {
	w.must(w.Array(i).Terminate(setUpIn))
	return func() { w.start(i) }
}

// isolate cuts an array off from all hosts.
func (w *sites) isolate(i int) func() {
	fabrics := []string{lab.Fabric1, lab.Fabric2}
	for _, f := range fabrics {
		w.must(w.Lab.Isolate(rig.Node(i), f))
	}
	return func() {
		for _, f := range fabrics {
			w.must(w.Lab.Rejoin(rig.Node(i), f))
		}
	}
}

// judge waits until all is whole and every host writes, and reads everything through each
// array that it sees.
func (w *sites) judge() {
	w.t.Helper()
	w.whole()
	w.ready()
	w.goOn([]string{"west", "east", "both"})
	ctx, cancel := context.WithTimeout(w.t.Context(), wholeIn)
	defer cancel()
	for _, s := range w.all {
		s.load.Stop()
		for _, i := range s.arrays {
			if _, err := s.load.Verify(ctx, rig.Name(i)); err != nil {
				w.t.Errorf("host %s through %s: %v", s.name, rig.Name(i), err)
			}
		}
		if s.load.Faults() > 0 || s.load.Failed() > 0 {
			w.t.Errorf("host %s: %d blocks wrong, %d commands failed: %v", s.name, s.load.Faults(), s.load.Failed(), s.load.Err())
		}
	}
}
