// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

var (
	points  = flag.Int("crash.points", 150, "how many power cuts to look at")
	oneSeed = flag.Uint64("crash.seed", 0, "play this seed only")
)

// recordsPerRun is long enough for the journal to use every segment again.
const recordsPerRun = 220

// outcome counts what power cuts left.
type outcome struct{ points, lost, inconsistent int }

// run plays one history and cuts the power at operations of the disk, half of them at
// random, until most cuts have been made. Every second seed has devices instead of
// directories. A forgetful disk keeps nothing it was told to.
func run(t *testing.T, seed uint64, most int, forgetful bool, wrong func(string)) (o outcome) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	dir := t.TempDir()
	disk := vfs.NewMem()
	for _, d := range []string{"journal", "pool"} {
		must(t, disk.MkdirAll(d))
	}
	if seed%2 == 0 {
		must(t, devices(disk))
	}
	e, err := open(disk, filepath.Join(dir, "map.live"))
	must(t, err)
	must(t, e.begin())
	if forgetful {
		disk.IgnoreSync()
	}
	var history []journal.Record
	dice := rand.New(rand.NewPCG(seed, 12))
	var cutting sync.Mutex // a large write that was given up goes on beside the others
	cut := func(op string) {
		if !cutting.TryLock() {
			return
		}
		defer cutting.Unlock()
		if o.points >= most || dice.IntN(2) == 0 {
			return
		}
		o.points++
		keep := []int{0, 100, dice.IntN(100)}[dice.IntN(3)]
		f, err := e.freeze(dice, keep, len(history))
		must(t, err)
		if err := f.verify(dir, history); err != nil {
			if strings.Contains(err.Error(), "LOST") {
				o.lost++
			} else {
				o.inconsistent++
			}
			wrong(fmt.Sprintf("seed %d, cut %d before %s, %d percent kept, %d acknowledged: %v", seed, o.points, op, keep, f.acked, err))
		}
	}
	disk.SetHook(func(op vfs.Op) {
		// The committer's, and pages that are written on the way to it: they may go on while
		// others do.
		if strings.HasPrefix(op.Name, "journal") || e.waiting.Load() {
			if !e.turn.TryLock() {
				return
			}
			defer e.turn.Unlock()
		}
		cut(fmt.Sprint(op.Verb, " ", op.Name))
	})
	e.turn.Lock()
	more := func() bool {
		cutting.Lock()
		defer cutting.Unlock()
		return len(history) < recordsPerRun && o.points < most
	}
	for more() {
		var batch []journal.Record
		for range 1 + rng.IntN(4) {
			r := randomRecord(rng, array.Place(len(history)+1))
			if r.Kind == journal.Data {
				r.Outside = e.pool.Volume(r.Volume).Outside(&r)
			}
			cutting.Lock()
			batch, history = append(batch, r), append(history, r)
			cutting.Unlock()
		}
		must(t, e.makeRoom())
		must(t, e.append(batch))
		for _, r := range batch {
			must(t, e.apply(r))
		}
		if rng.IntN(4) == 0 {
			must(t, e.pool.Flush(theGroup))
			e.jnl.Release(theGroup, e.pool.Destaged(theGroup))
		}
	}
	e.turn.Unlock()
	disk.SetHook(nil)
	must(t, e.close())
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPowerCuts: at whatever operation the power is cut, what was acknowledged is there.
func TestPowerCuts(t *testing.T) {
	var sum outcome
	if testing.Short() {
		*points = min(*points, 20)
	}
	for n := uint64(1); sum.points < *points; n++ {
		seed, most := 2*n-1, *points/2-sum.points
		if most <= 0 { // the second half: devices
			seed, most = 2*n, *points-sum.points
		}
		if *oneSeed != 0 {
			seed, most = *oneSeed, *points
		}
		o := run(t, seed, most, false, func(text string) {
			t.Errorf("%s\nreplay with: go test ./test/crash -run TestPowerCuts -crash.seed=%d -crash.points=%d", text, seed, *points)
		})
		sum.points, sum.lost, sum.inconsistent = sum.points+o.points, sum.lost+o.lost, sum.inconsistent+o.inconsistent
		if *oneSeed != 0 || t.Failed() {
			break
		}
	}
	t.Logf("crash: %d points, %d lost, %d inconsistent", sum.points, sum.lost, sum.inconsistent)
}

// TestAForgetfulDiskIsFoundOut: without flushes the same must fail.
func TestAForgetfulDiskIsFoundOut(t *testing.T) {
	for seed, on := range map[uint64]string{1: "directories", 2: "devices"} {
		o := run(t, seed, 20, true, func(string) {})
		// What is lost of a device may be its table of files: then it doesn't open.
		if o.lost+o.inconsistent == 0 || o.lost == 0 && on == "directories" {
			t.Errorf("on %s a disk that ignores every flush lost nothing that was noticed: %+v", on, o)
		}
		t.Logf("mutant without flushes, on %s: %d of %d points found out", on, o.lost+o.inconsistent, o.points)
	}
}
