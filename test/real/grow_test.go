// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"testing"

	"github.com/perdure/perdure/internal/rig"
)

// TestGrowVolume: a volume grows under load on both arrays; the host sees it, writes to
// the new end, and reads it back through either array, also one that was away meanwhile.
func TestGrowVolume(t *testing.T) {
	p := newPair(t, 1, "16m")
	h, err := p.Host()
	p.must(err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 1)
	p.must(err)
	stop := counting(ctx, disks)
	piece := func(i byte) []byte { return bytes.Repeat([]byte{i, 7}, 1<<15) }
	write := func(i byte, mib int64) { p.must(disks[0].Write(ctx, piece(i), mib<<20-1<<16)) }

	p.refused(rig.B, "want a number of MiB", "growvv", group+".0", "0")
	p.refused(rig.A, "volume nothing does not exist", "growvv", "nothing", "1m")
	p.command(rig.B, "growvv", group+".0", "16m") // passed on to the owner
	p.until(setUpIn, "the host to see 32 MiB", func() bool { return disks[0].Size() == 32<<20 })
	write(1, 32)
	p.must(p.Array(rig.B).Kill())
	p.until(setUpIn, "A to go on alone", func() bool { i, err := p.Serving(ctx, group); return err == nil && i == rig.A && !p.InSync(ctx, group) })
	p.command(rig.A, "growvv", group+".0", "8m") // without B
	write(2, 40)
	p.start(rig.B)
	p.whole()
	p.move(rig.B)
	p.same(disks[0], piece(1), 32<<20-1<<16)
	p.same(disks[0], piece(2), 40<<20-1<<16)
	p.must(p.Array(rig.A).Kill()) // it grows while B is alone, and A comes back
	p.until(setUpIn, "B to go on alone", func() bool { i, err := p.Serving(ctx, group); return err == nil && i == rig.B && !p.InSync(ctx, group) })
	p.command(rig.B, "growvv", group+".0", "8m")
	write(3, 48)
	p.start(rig.A)
	p.whole()
	p.must(stop())
	p.move(rig.A)
	p.same(disks[0], piece(3), 48<<20-1<<16)
	p.until(setUpIn, "the host to see 48 MiB", func() bool { return disks[0].Size() == 48<<20 })
}
