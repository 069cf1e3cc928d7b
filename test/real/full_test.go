// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// TestFullCPG: a thin volume gets what another one has not set aside, and no more. What
// it wrote stays, and can be written again; with room it goes on.
func TestFullCPG(t *testing.T) {
	p := newRig(t)
	p.configure(rig.A, "size_mib = 1024", "size_mib = 256")
	p.configure(rig.A, "[target]", "[[cpg]]\nname = \"cpg0\"\ndir = \""+p.Dir+"/array-a/cpg0\"\nlimit_gib = 1\n\n[target]")
	ctx, cancel := context.WithTimeout(t.Context(), 2*setUpIn)
	defer cancel()
	p.must(p.StartPair(ctx))
	p.command(rig.A, "createvv", "-full", "cpg0", "big", "900m")
	p.refused(rig.A, "are to be set aside, the CPG has", "createvv", "-full", "cpg0", "more", "200m")
	p.command(rig.A, "createvv", "cpg0", "thin", "1g")
	d := p.seen(rig.A, "thin")
	const size = 64 << 10
	b := bytes.Repeat([]byte{1, 2, 3}, size/3+1)[:size]
	written := int64(0)
	var err error
	for ; err == nil && written < 1<<30; written += size {
		err = d.Write(ctx, b, written)
	}
	written -= size
	if err == nil || !strings.Contains(err.Error(), "27/07") {
		t.Fatalf("after %d MiB: %v", written>>20, err)
	}
	if mib := written >> 20; mib < 70 || mib > 124 {
		t.Errorf("%d MiB of the 124 that are not set aside could be written", mib)
	}
	p.must(d.Write(ctx, b, 0))
	p.same(d, b, written-size)
	p.until(setUpIn, "the event of a full CPG", func() bool {
		return strings.Contains(p.command(rig.A, "showeventlog"), "CPG cpg0 is full, and writes that need room are refused")
	})
	p.command(rig.A, "removevv", "-f", "big")
	p.must(d.Write(ctx, b, written))
	p.same(d, b, written)
}

// same reads a block back.
func (p *pair) same(d *host.Disk, want []byte, off int64) {
	p.t.Helper()
	got := make([]byte, len(want))
	p.must(d.Read(p.t.Context(), "", got, off))
	if !bytes.Equal(got, want) {
		p.t.Errorf("what was written at %d is something else", off)
	}
}
