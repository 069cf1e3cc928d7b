// SPDX-License-Identifier: Apache-2.0

package group

import (
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// facts keeps a group's facts in memory. The group's loop alone uses it.
type facts map[string][]byte

func (f facts) Put(_ array.GroupID, name string, value []byte) error { f[name] = value; return nil }
func (f facts) Get(_ array.GroupID, name string) ([]byte, error)     { return f[name], nil }

// alone is a group of one volume that lives on one array, which puts on pages only
// what it is told to.
func alone(t *testing.T) (*Group, *Unit, *volume.Pool) {
	t.Helper()
	disk := vfs.NewMem()
	var running atomic.Pointer[Group]
	jnl, err := journal.Open(disk, "journal", journal.Options{
		Limit: 8 << 20, SegmentSize: 1 << 20, MaxPayload: 64 << 10, MaxGroups: 4, NoPrefill: true,
		Durable: func(ds []journal.Durable) {
			for _, d := range ds {
				running.Load().JournalHolds(d.Pos.Place)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := volume.OpenPool(disk, "pool", volume.Options{
		MapFile: filepath.Join(t.TempDir(), "map"), Limit: 64 << 20, Overlay: 4 << 20, Age: -1, Grow: 1 << 20, NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	disks, err := pool.Create(volume.VolumeSpec{ID: 1, Group: 1, Size: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	g, err := Open(Config{
		ID: 1, Name: "g", Self: array.SideA, Ports: [2][]uint16{{1}, {257}},
		Log: jnl, Space: jnl, Pages: pool, Copy: pool, Buffers: block.NewPool(8 << 20), Keep: facts{},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: boottime.Now,
	}, arb.First(array.SideA, 1))
	if err != nil {
		t.Fatal(err)
	}
	running.Store(g)
	u, err := g.AddVolume(scsi.Identity{Volume: 1, Name: "v"}, disks, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	t.Cleanup(func() {
		g.Close()
		_ = jnl.Close()
		_ = pool.Close()
	})
	return g, u, pool
}

// zero changes the volume, and returns when that is committed.
func zero(t *testing.T, u *Unit) {
	t.Helper()
	ended := make(chan error, 1)
	u.Mutate(&scsi.Op{Arrived: boottime.Now()}, scsi.Mutation{Kind: scsi.Zero, Length: block.Sector}, func(err error) { ended <- err })
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func (g *Group) paceNow(t *testing.T, tick bool) (p time.Duration) {
	t.Helper()
	if err := g.ask(func() {
		if tick {
			g.tick()
		}
		p = g.pace()
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAQuietGroupSeldomLooksAtTheClock(t *testing.T) {
	g, u, pool := alone(t)
	for range 2 {
		zero(t, u)
		if p := g.paceNow(t, true); p != tickEvery {
			t.Fatalf("with a write that is not on pages: %v", p)
		}
		if err := pool.Flush(1); err != nil {
			t.Fatal(err)
		}
		if p := g.paceNow(t, false); p != tickEvery {
			t.Fatalf("before the journal was told: %v", p)
		}
		if p := g.paceNow(t, true); p != quietTick {
			t.Fatalf("with nothing to do: %v", p)
		}
	}
	_ = g.ask(func() {
		g.waiting = append(g.waiting, &work{})
		if p := g.pace(); p != tickEvery {
			t.Errorf("with a waiting command: %v", p)
		}
		g.waiting = nil
		g.heals[damage{}] = &heal{}
		if p := g.pace(); p != tickEvery {
			t.Errorf("with a damaged page: %v", p)
		}
		clear(g.heals)
		g.fail(io.ErrUnexpectedEOF)
		if p := g.pace(); p != tickEvery {
			t.Errorf("of a group that failed: %v", p)
		}
	})
}

// TestAGroupAtRestIsNotWoken by the register that it has seen, and by any other.
func TestAGroupAtRestIsNotWoken(t *testing.T) {
	g, _, _ := alone(t)
	known := arb.WitnessView{Incarnation: 5, Version: 7}
	told := func(v arb.WitnessView, every time.Duration, answer bool) (woken bool) {
		var was, is *registerSeen
		if err := g.ask(func() { // within a turn, or the loop would note what it finds itself
			g.seen = &registerSeen{known.Incarnation, known.Version}
			was = g.seen
			g.noteRest(every)
			g.WitnessSeen(v, answer)
		}); err != nil {
			t.Fatal(err)
		}
		_ = g.ask(func() { is = g.seen })
		return was != is
	}
	for _, c := range []struct {
		what   string
		v      arb.WitnessView
		every  time.Duration
		answer bool
		want   bool
	}{
		{"what it has seen", known, quietTick, false, false},
		{"what it has seen, while it waits for something", known, tickEvery, false, true},
		{"the outcome of a swap", known, quietTick, true, true},
		{"a newer register", arb.WitnessView{Incarnation: 5, Version: 8}, quietTick, false, true},
		{"another witness", arb.WitnessView{Incarnation: 6, Version: 7}, quietTick, false, true},
	} {
		if got := told(c.v, c.every, c.answer); got != c.want {
			t.Errorf("%s: woken %v", c.what, got)
		}
	}
}

func TestATurnWithoutAChangeMakesNoGarbage(t *testing.T) {
	g, u, _ := alone(t)
	zero(t, u) // it serves now
	if err := g.ask(func() {
		if n := testing.AllocsPerRun(100, g.setGate); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
