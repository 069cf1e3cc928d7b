// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// counting writes a growing number to the first volume, then to the second, again and
// again: of one moment they are the same, or the first is one ahead.
func counting(ctx context.Context, disks []*host.Disk) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for k := uint64(1); ctx.Err() == nil; k++ {
			for _, d := range disks {
				binary.BigEndian.PutUint64(b, k)
				if err := d.Write(context.WithoutCancel(ctx), b, int64(k%8)*4096); err != nil {
					done <- err
					return
				}
				if err := d.Write(context.WithoutCancel(ctx), b, 1<<20); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	return func() error { cancel(); return <-done }
}

// seen exports a volume, on the array that serves it, to a host of its own and returns
// its disk.
func (p *pair) seen(i int, vv string) *host.Disk {
	p.t.Helper()
	name := "host-" + strings.ReplaceAll(vv, ".", "-")
	iqn := "iqn.2026-01.io.perdure:" + name
	p.command(i, "createhost", name, iqn)
	p.command(i, "createvlun", vv, "0", name)
	h, err := p.HostNamed(iqn)
	p.must(err)
	p.t.Cleanup(h.Close)
	ctx, cancel := context.WithTimeout(p.t.Context(), setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 1)
	p.must(err)
	p.must(disks[0].WaitPaths(ctx, func(paths []host.Path) bool {
		return slices.ContainsFunc(paths, func(x host.Path) bool { return x.State == host.Optimized })
	}))
	return disks[0]
}

// content reads a disk, through whichever array serves it.
func (p *pair) content(d *host.Disk) []byte {
	p.t.Helper()
	b := make([]byte, d.Size())
	for off := 0; off < len(b); off += 1 << 18 {
		p.must(d.Read(p.t.Context(), "", b[off:off+1<<16], int64(off)))
	}
	return b
}

func count(b []byte) uint64 { return binary.BigEndian.Uint64(b[1<<20:]) }

// TestSnapshots: snapshots of two volumes under load are of one moment and the same on
// both arrays, also when the owner dies between; nothing that comes later changes them.
func TestSnapshots(t *testing.T) {
	p := newPair(t, 2, "16m")
	h, err := p.Host()
	p.must(err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 2)
	p.must(err)
	stop := counting(ctx, disks)
	makePair := func(i int, n string) { p.command(i, "creategroupsv", "-ro", n+".0:"+group+".0", n+".1:"+group+".1") }
	makePair(rig.A, "first")
	p.command(rig.B, "setrcopygroup", "switchover", group)
	makePair(rig.B, "second")
	p.must(p.Array(rig.B).Kill()) // the owner
	p.must(p.Until(ctx, "A to serve", func() bool { i, err := p.Serving(ctx, group); return err == nil && i == rig.A }))
	makePair(rig.A, "third")
	p.start(rig.B)
	p.whole()
	makePair(rig.A, "fourth")
	p.must(stop())

	snaps := map[string]*host.Disk{}
	was := map[string][]byte{}
	last := uint64(0)
	for _, n := range []string{"first", "second", "third", "fourth"} {
		var k [2]uint64
		for v := range k {
			name := fmt.Sprintf("%s.%d", n, v)
			snaps[name] = p.seen(rig.A, name)
			was[name] = p.content(snaps[name])
			k[v] = count(was[name])
		}
		t.Logf("%s: %d and %d", n, k[0], k[1])
		if k[0] != k[1] && k[0] != k[1]+1 || k[0] < last {
			t.Errorf("snapshots %s are of two moments: %d and %d, after %d", n, k[0], k[1], last)
		}
		last = k[0]
	}
	if err := snaps["first.0"].Write(ctx, make([]byte, 4096), 0); err == nil {
		t.Error("a read-only snapshot was written to")
	}

	// Through the other array, after more writes. What was made while it was away is
	// not there, or it came with the journal.
	stop = counting(ctx, disks)
	p.command(rig.A, "setrcopygroup", "switchover", group)
	p.must(stop())
	missing := p.command(rig.B, "showvv")
	for name, d := range snaps {
		if strings.HasPrefix(name, "third") && strings.Contains(line(missing, name), "missing") {
			t.Logf("%s is missing on array-b, which was away", name)
			continue
		}
		if !bytes.Equal(p.content(d), was[name]) {
			t.Errorf("snapshot %s is another one on the other array, or changed", name)
		}
	}

	// A volume made from a snapshot is its own.
	p.command(rig.A, "createsv", "copy", "first.0")
	c := p.seen(rig.A, "copy")
	if !bytes.Equal(p.content(c), was["first.0"]) {
		t.Error("a volume made from a snapshot is something else")
	}
	p.must(c.Write(ctx, bytes.Repeat([]byte{7}, 4096), 0))
	if !bytes.Equal(p.content(snaps["first.0"]), was["first.0"]) {
		t.Error("writing to the volume changed its snapshot")
	}

	// Back to the first snapshot.
	p.refused(rig.A, "is exported", "promotesv", "first.0")
	p.command(rig.A, "removevlun", "-f", group+".0", "0", "host")
	p.refused(rig.B, "has the snapshot", "dismissrcopyvv", "-f", group+".0", group)
	t.Log(p.command(rig.A, "promotesv", "first.0"))
	if !bytes.Equal(p.content(p.seen(rig.B, group+".0")), was["first.0"]) {
		t.Error("the promoted volume is not what the snapshot is")
	}
	p.whole()
	p.command(rig.A, "removevlun", "-f", "first.0", "0", "host-first-0")
	p.refused(rig.A, "was made from", "removevv", "-f", "first.0")
	for _, n := range []string{"fourth", "second", "third"} {
		for v := range 2 {
			name := fmt.Sprintf("%s.%d", n, v)
			p.command(rig.A, "removevlun", "-f", name, "0", "host-"+strings.ReplaceAll(name, ".", "-"))
			p.command(rig.A, "removevv", "-f", name)
		}
	}
	if !bytes.Equal(p.content(snaps["first.1"]), was["first.1"]) {
		t.Error("removing newer snapshots changed an older one")
	}
	p.whole()
}

// line returns the line of a table that names something in its second column.
func line(table, name string) string {
	for l := range strings.Lines(table) {
		if f := strings.Fields(l); len(f) > 1 && f[1] == name {
			return l
		}
	}
	return ""
}
