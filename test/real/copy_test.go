// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/internal/wsapi"
)

// TestPhysicalCopy: a copy to a mirrored volume whose owner dies under way is finished
// by the other array, and is of one moment though its parent is written all the while.
func TestPhysicalCopy(t *testing.T) {
	p := newPair(t, 2, "192m")
	h, err := p.Host()
	p.must(err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 6*setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 2)
	p.must(err)
	want := make([]byte, disks[0].Size())
	for off := 0; off < len(want); off += 1 << 18 {
		piece := want[off : off+1<<16]
		for i := range piece {
			piece[i] = byte(off>>16) ^ byte(i*7)
		}
		p.must(disks[0].Write(ctx, piece, int64(off)))
	}
	const from, to = group + ".0", group + ".1"
	p.refused(rig.A, "is exported", "createvvcopy", "-p", from, to)
	p.command(rig.A, "removevlun", "-f", to, "1", "host")
	p.command(rig.A, "createvvcopy", "-p", from, to)
	p.until(setUpIn, "the copy to be under way", func() bool {
		l := line(p.command(rig.A, "showvv"), to)
		return strings.Contains(l, "copying(") && !strings.Contains(l, "(0%)")
	})
	t.Log(line(p.command(rig.A, "showvv"), to))
	p.refused(rig.B, "is being made a copy", "createvlun", to, "1", "host")
	p.must(p.Array(rig.A).Kill())
	p.must(p.Until(ctx, "B to serve", func() bool { return p.serves(rig.B) }))
	p.must(disks[0].Write(ctx, bytes.Repeat([]byte{0xEE}, 1<<16), 0)) // later than the copy
	p.until(3*setUpIn, "the copy to be whole", func() bool {
		out, err := p.Command(ctx, rig.B, "showvv")
		return err == nil && strings.Contains(line(out, to), "normal") && !strings.Contains(out, "vvcp.")
	})
	p.start(rig.A)
	p.whole()
	d := p.seen(rig.B, to)
	for _, i := range []int{rig.B, rig.A} {
		p.move(i)
		for off := 0; off < len(want); off += 1 << 18 {
			b := make([]byte, 1<<16)
			p.must(d.Read(ctx, "", b, int64(off)))
			if !bytes.Equal(b, want[off:off+1<<16]) {
				t.Fatalf("through %s the copy is something else at %d than its parent was", rig.Name(i), off)
			}
		}
	}
	var told []progress.Step
	out, err := wsapi.DoTelling(ctx, filepath.Join(p.Dir, rig.Name(rig.A), "perdured.sock"), []string{"verify", group, "-rate", "24"},
		func(s progress.Step) { told = append(told, s) })
	if err != nil || !strings.Contains(out, " 0 different") {
		t.Errorf("verify says %s, %v", out, err)
	}
	if len(told) == 0 || told[len(told)-1].Percent < 10 || !strings.Contains(told[0].String(), "0 different") {
		t.Errorf("meanwhile it told %v", told)
	}
	t.Log(told)
}
