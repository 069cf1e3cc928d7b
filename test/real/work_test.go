// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/host/load"
	"github.com/perdure/perdure/internal/rig"
)

const (
	workers = 6
	blocks  = 2048 // of each disk, 4 KiB each
	// goesOnIn is how long a host may stand still where somebody must serve.
	goesOnIn = 20 * time.Second
)

// work is a host with paths to both arrays, and a load that knows what it wrote.
type work struct {
	*pair
	host  *host.Host
	disks []*host.Disk
	load  *load.Load
}

// newSmall is newPair with the smallest journals: they are soon written, and soon
// forget what a lost array lacks.
func newSmall(t *testing.T, volumes int, size string) *pair {
	t.Helper()
	p := newRig(t)
	for i := range 2 {
		p.configure(i, "size_mib = 1024", "size_mib = 64")
	}
	p.bringUp(volumes, size)
	return p
}

// bringUp starts a configured pair with a group of volumes.
func (p *pair) bringUp(volumes int, size string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn)
	defer cancel()
	p.must(p.StartPair(ctx))
	p.must(p.Protect(ctx, group, volumes, size))
	p.whole()
}

// configure replaces a part of an array's configuration, which must be there once.
func (p *pair) configure(i int, old, by string) {
	p.t.Helper()
	p.edit(filepath.Join(p.Dir, rig.Name(i), "perdured.toml"), old, by)
}

// work opens the host and begins to write and read.
func (p *pair) work(volumes int, seed uint64) *work {
	p.t.Helper()
	return p.workWith(load.Options{Blocks: blocks, Workers: workers, Think: time.Millisecond, Reads: 0.3, Seed: seed}, volumes)
}

// workWith does so with a load of its own.
func (p *pair) workWith(o load.Options, volumes int) *work {
	p.t.Helper()
	w := &work{pair: p}
	var err error
	w.host, err = p.Host()
	p.must(err)
	p.t.Cleanup(w.host.Close)
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn)
	defer cancel()
	w.disks, err = w.host.Wait(ctx, volumes)
	p.must(err)
	for _, d := range w.disks {
		p.must(d.WaitPaths(ctx, allUp))
		o.Disks = append(o.Disks, d)
	}
	w.load, err = load.New(o)
	p.must(err)
	w.load.Start()
	w.goesOn()
	return w
}

// allUp says that every path has a connection.
func allUp(paths []host.Path) bool {
	for _, x := range paths {
		if x.State == host.Down {
			return false
		}
	}
	return true
}

// goesOn makes sure that the host's writes go on.
func (w *work) goesOn() {
	w.t.Helper()
	before := w.load.Acknowledged()
	w.until(goesOnIn, "the host to go on", func() bool { return w.load.Acknowledged() > before+workers })
}

// judge waits until both copies are whole, reads all through each array, and holds
// it against what was acknowledged and against the other. The load goes on then, if
// it is to.
func (w *work) judge(what string, goOn bool) {
	w.t.Helper()
	w.whole()
	w.goesOn()
	w.load.Stop()
	var pictures [2]load.Picture
	first, err := w.Serving(w.t.Context(), group)
	w.must(err)
	for turn := range pictures {
		i := first
		if turn == 1 {
			i = 1 - first
			w.move(i)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), wholeIn)
		pictures[turn], err = w.load.Verify(ctx, rig.Name(i))
		cancel()
		if err != nil {
			w.t.Fatalf("%s: %v\n%s", what, err, w.explain())
		}
	}
	if all, different := pictures[0].Compare(pictures[1]); different > 0 {
		w.t.Errorf("%s: the copies differ in %d of %d blocks", what, different, all)
	}
	if w.load.Faults() > 0 || w.load.Failed() > 0 {
		w.t.Errorf("%s: %d blocks wrong, %d commands failed: %v", what, w.load.Faults(), w.load.Failed(), w.load.Err())
	}
	if w.t.Failed() {
		w.t.Fatalf("%s\n%s", what, w.explain())
	}
	if goOn {
		w.load.Start()
		w.goesOn()
	}
}

// alone waits until array i is alone and serves.
func (p *pair) alone(i int) {
	p.t.Helper()
	only := fmt.Sprintf("{%s}", string(rune('A'+i)))
	p.until(setUpIn, rig.Name(i)+" to go on alone", func() bool {
		return p.serves(i) && strings.Contains(p.Record(p.t.Context(), i, group), only)
	})
}
