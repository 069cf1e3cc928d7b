// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// TestProtectedInUse makes a volume with data the first one of a group while a host writes to
// it: no write fails, and when its array is killed the other one has all of them.
func TestProtectedInUse(t *testing.T) {
	protectInUse(t, func(p *pair) {
		p.command(rig.A, "creatercopygroup", group, rig.Name(rig.B)+":sync")
	})
}

// TestJoinedInUse does so with a group that has another volume.
func TestJoinedInUse(t *testing.T) {
	protectInUse(t, func(p *pair) {
		p.command(rig.A, "creatercopygroup", group, rig.Name(rig.B)+":sync")
		p.command(rig.A, "admitrcopyvv", "-createvv", "-size", "64m", "first", group)
		p.must(p.UntilSync(t.Context(), group, setUpIn))
	})
}

func protectInUse(t *testing.T, prepare func(*pair)) {
	p := newRig(t)
	ctx := t.Context()
	p.must(p.StartPair(ctx))
	p.command(rig.A, "createvv", "cpg0", "v", "64m")
	p.command(rig.A, "createhost", "host", rig.Initiator)
	p.command(rig.A, "createvlun", "v", "0", "host")
	on := func(i int) (*host.Host, *host.Disk) {
		h, err := p.Host(i)
		p.must(err)
		disks, err := h.Wait(ctx, 1)
		p.must(err)
		return h, disks[0]
	}
	h, disk := on(rig.A)
	const pages = 1024
	page := func(n int64) []byte {
		b := make([]byte, block.Page)
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], uint64(n))
		}
		return b
	}
	for n := range int64(pages) {
		p.must(disk.Write(ctx, page(n), n*block.Page))
	}
	prepare(p)
	writing, stop := context.WithCancel(ctx)
	ended := make(chan int64, 1)
	var longest time.Duration
	go func() {
		n := int64(pages)
		for ; writing.Err() == nil; n++ {
			began := time.Now()
			if err := disk.Write(ctx, page(n), n%pages*block.Page); err != nil {
				t.Errorf("write %d: %v", n, err)
				break
			}
			longest = max(longest, time.Since(began))
		}
		ended <- n
	}()
	p.command(rig.A, "admitrcopyvv", "-createvv", "-wait", "v", group)
	p.must(p.UntilSync(ctx, group, setUpIn))
	p.must(p.Step(ctx, group, "wait armed")) // before that the array that took the other in goes on alone, not that one
	stop()
	last := <-ended
	p.must(p.Array(rig.A).Kill())
	h.Close()
	p.until(setUpIn, "the other array to go on", func() bool { return p.serves(rig.B) })
	h, disk = on(rig.B)
	defer h.Close()
	got := make([]byte, block.Page)
	for n := last - pages; n < last; n++ {
		p.must(disk.Read(ctx, rig.Name(rig.B), got, n%pages*block.Page))
		if !bytes.Equal(got, page(n)) {
			t.Fatalf("page %d holds write %d, want %d", n%pages, binary.LittleEndian.Uint64(got), n)
		}
	}
	t.Logf("%d writes, the longest took %v", last, longest)
}

// TestAHostWithOnePath is told to wait, if anything, while its volume becomes the first of a
// group: it has no other path that it could be sent to.
func TestAHostWithOnePath(t *testing.T) {
	p := newRig(t)
	p.must(p.StartPair(t.Context()))
	p.command(rig.A, "createhost", "host", rig.Initiator)
	l := &late{pair: p, t: t}
	for n := range 4 {
		vv, g := fmt.Sprintf("v%d", n), fmt.Sprintf("g%d", n)
		p.command(rig.A, "createvv", "cpg0", vv, "64m")
		p.command(rig.A, "createvlun", vv, "0", "host")
		c := l.dial(rig.A, 1)
		p.must(c.Do(write(0, 'a')).Err)
		p.command(rig.A, "creatercopygroup", g, rig.Name(rig.B)+":sync")
		writing, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for k := 0; writing.Err() == nil; k++ {
				if r := c.Do(write(k%8, 'b')); r.Err != nil || r.Code()>>16 == 0x02 {
					t.Errorf("write %d while the volume becomes a group's: %v, sense %06x", k, r.Err, r.Code())
					return
				}
			}
		}()
		p.command(rig.A, "admitrcopyvv", "-createvv", vv, g)
		p.must(p.UntilSync(t.Context(), g, setUpIn))
		stop()
		<-ended
		p.command(rig.A, "removevlun", "-f", vv, "0", "host")
	}
}
