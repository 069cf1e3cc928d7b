// SPDX-License-Identifier: Apache-2.0

//go:build lab

package linear

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

var (
	operations = flag.Int64("linear.operations", 10000, "how many operations a run has at least")
	faultCount = flag.Int("linear.faults", 6, "how many faults a run has at least")
	linkDelay  = flag.Duration("linear.delay", 0, "delay of the links between the arrays, one way")
	only       = flag.String("linear.only", "", "faults whose name holds this only")
	seedFlag   = flag.Uint64("linear.seed", 0, "the seed of a run; drawn if 0")
)

const (
	group   = "g"
	hot     = 64 // blocks
	workers = 4  // of each host
	setUpIn = 30 * time.Second
	wholeIn = 60 * time.Second
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// TestLinearizability: what hosts see through both arrays is one truth, whatever happens
// to the arrays, the links and the witness.
func TestLinearizability(t *testing.T) {
	r := newRun(t, "")
	r.play(*operations, *faultCount)
	all := r.history()
	if err := judge(all, r.picture()); err != nil {
		t.Fatal(err)
	}
	t.Logf("linearizability: %d operations, %d faults, ok", r.field.done.Load(), r.hits)
}

// TestHastyReadsAreCaught: an array whose reads don't wait for writes that are in flight
// is found out.
func TestHastyReadsAreCaught(t *testing.T) {
	r := newRun(t, "./hasty")
	for range 20 {
		r.play(r.field.done.Load()+5000, 0)
		if err := judge(r.history(), r.picture()); err != nil {
			t.Logf("found out after %d operations: %v", r.field.done.Load(), err)
			_ = os.Remove(r.picture())
			return
		}
	}
	t.Errorf("%d operations, and nothing was noticed", r.field.done.Load())
}

// run is a pair with its hosts.
type run struct {
	t       *testing.T
	r       *rig.Rig
	rng     *rand.Rand
	seed    uint64
	field   *field
	workers []*worker
	hits    int
}

// newRun brings up a pair that serves from both arrays; of another daemon, if it names
// one.
func newRun(t *testing.T, daemon string) *run {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	dir, err := os.MkdirTemp("", "pl-") // short: the arrays' sockets are in it
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("data and logs are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	r, err := rig.New(binaries(t, dir, daemon), dir, nil)
	if errors.Is(err, lab.ErrUnsupported) && os.Getenv("PERDURE_LAB") != "required" {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() {
		r.Close()
		if daemon == "" {
			must(t, r.CheckDisks(context.Background()))
		}
	})
	if *linkDelay > 0 {
		for _, n := range []string{lab.Link1, lab.Link2} {
			must(t, r.Lab.Delay(lab.A, lab.B, n, lab.Both, *linkDelay))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	must(t, r.StartPair(ctx))
	must(t, r.Protect(ctx, group, 1, "16m"))
	must(t, r.UntilSync(ctx, group, wholeIn))
	x := &run{t: t, r: r, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), field: &field{began: time.Now(), blocks: hot}}
	x.command(rig.A, "setrcopygroup", "pol", "active_active", group)
	x.addHosts(ctx)
	return x
}

// addHosts opens a host near each array, which sees no other, and one that sees both.
func (x *run) addHosts(ctx context.Context) {
	for n, arrays := range [][]int{{rig.A}, {rig.B}, {rig.A, rig.B}} {
		name := []string{"west", "east", "both"}[n]
		iqn := "iqn.2026-01.org.example:" + name
		x.command(rig.A, "createhost", name, iqn)
		x.command(rig.A, "createvlun", group+".0", "0", name)
		x.command(rig.A, "admitrcopyhost", "-proximity", "all", group, name)
		h, err := x.r.HostNamed(iqn, arrays...)
		must(x.t, err)
		x.t.Cleanup(h.Close)
		disks, err := h.Wait(ctx, 1)
		must(x.t, err)
		must(x.t, disks[0].WaitPaths(ctx, allOptimized))
		for range workers {
			x.workers = append(x.workers, &worker{
				field: x.field, id: len(x.workers), disk: disks[0], arrays: arrays,
				rng: rand.New(rand.NewPCG(x.seed, uint64(len(x.workers)+1))), seen: make([]uint64, hot),
			})
		}
	}
}

func allOptimized(paths []host.Path) bool {
	for _, p := range paths {
		if p.State != host.Optimized {
			return false
		}
	}
	return true
}

// play lets the hosts work until there were so many operations and faults, and each array
// had its share.
func (x *run) play(operations int64, count int) {
	x.t.Helper()
	ctx, stop := context.WithCancel(x.t.Context())
	var wg sync.WaitGroup
	for _, w := range x.workers {
		wg.Go(func() { w.run(ctx) })
	}
	per := max(operations/int64(count+1), 1)
	all := slices.DeleteFunc(faults(x.rng), func(f fault) bool { return !strings.Contains(f.name, *only) })
	for n := 1; x.field.failed.Load() == nil && (x.hits < count || x.field.done.Load() < operations || !x.field.shared()); n++ {
		x.after(per * int64(n))
		if x.hits < count {
			x.fault(all[x.rng.IntN(len(all))])
		}
	}
	stop()
	wg.Wait()
	if err := x.field.failed.Load(); err != nil {
		x.t.Fatal(*err)
	}
}

// after waits until the hosts have done so much.
func (x *run) after(operations int64) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 10*time.Minute)
	defer cancel()
	must(x.t, x.r.Until(ctx, "the hosts to work", func() bool {
		return x.field.done.Load() >= operations || x.field.failed.Load() != nil
	}))
}

// fault hits the pair, makes it good again, and waits until both arrays serve.
func (x *run) fault(f fault) {
	x.t.Helper()
	began := time.Since(x.field.began)
	ctx, cancel := context.WithTimeout(x.t.Context(), setUpIn)
	defer cancel()
	heal, err := f.hit(ctx, x.r)
	must(x.t, err)
	time.Sleep(time.Duration(x.rng.IntN(3000)) * time.Millisecond) // how long it lasts is what is tried
	must(x.t, heal())
	x.hits++
	must(x.t, x.r.UntilSync(x.t.Context(), group, wholeIn))
	for _, w := range x.workers {
		if err := w.disk.WaitPaths(ctx, allOptimized); err != nil {
			x.t.Fatalf("after %s: %v: a host that sees %v has the paths %+v\n%s\n%s", f.name, err, w.arrays, w.disk.Paths(), x.explain(rig.A), x.explain(rig.B))
		}
	}
	x.t.Logf("%6.1f s  %s, whole again after %.1f s", began.Seconds(), f.name, (time.Since(x.field.began) - began).Seconds())
}

func (x *run) history() (all []porcupine.Operation) {
	for _, w := range x.workers {
		all = append(all, w.history...)
	}
	return all
}

func (x *run) picture() string { return filepath.Join(os.TempDir(), "linearizability.html") }

func (x *run) explain(i int) string {
	out, err := x.r.Command(context.Background(), i, "explain", group)
	if err != nil {
		return err.Error()
	}
	return out
}

func (x *run) command(i int, words ...string) {
	x.t.Helper()
	if _, err := x.r.Command(x.t.Context(), i, words...); err != nil {
		x.t.Fatalf("%s: %s: %v", rig.Name(i), strings.Join(words, " "), err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
