// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/host"
	"github.com/perdure/perdure/internal/rig"
)

// TestBothSidesForced lets a person make both arrays serve apart from each other,
// and then choose: nothing rejoins by itself, the array with the older lineage
// serves nothing, and after discard both hold what the chosen one held.
func TestBothSidesForced(t *testing.T) {
	p := newPair(t, 1, "64m")
	only := func(i int) (*host.Host, *host.Disk) {
		h, err := p.Host(i)
		p.must(err)
		t.Cleanup(h.Close)
		disks, err := h.Wait(t.Context(), 1)
		p.must(err)
		return h, disks[0]
	}
	_, a := only(rig.A)
	_, b := only(rig.B)
	write := func(d *host.Disk, off int64, with byte) {
		p.must(d.Write(t.Context(), bytes.Repeat([]byte{with}, 64<<10), off))
	}
	write(a, 0, 'c')
	write(a, 1<<20, 'c')

	p.must(p.CutLinks())
	p.must(p.CutWitness(rig.B))
	p.until(setUpIn, "A to be alone", func() bool { return strings.Contains(p.Record(t.Context(), rig.A, group), "{A}") })
	write(a, 0, 'a')
	write(a, 2<<20, 'a') // a page that only A ever wrote
	p.until(setUpIn, "B to be forced", func() bool {
		_, err := p.Command(t.Context(), rig.B, "setrcopygroup", "override", "-f", group)
		return err == nil
	})
	p.until(setUpIn, "B to serve", func() bool { return p.serves(rig.B) })
	write(b, 1<<20, 'b')
	write(b, 3<<20, 'b')

	p.must(p.HealLinks())
	p.must(p.HealWitness(rig.B))
	p.until(setUpIn, "A to find out", func() bool { return strings.Contains(p.command(rig.A, "explain", group), "a person must choose") })
	for range 20 {
		if p.serves(rig.A) || p.InSync(t.Context(), group) {
			t.Fatalf("A serves on, or the arrays rejoined by themselves\n%s", p.explain())
		}
		p.must(p.Until(t.Context(), "a moment", pause(50*time.Millisecond)))
	}
	if out, err := p.Command(t.Context(), rig.B, "setrcopygroup", "discard", "-f", group); err == nil {
		t.Errorf("the copy that is served was given up: %s", out)
	}
	p.command(rig.A, "setrcopygroup", "discard", "-f", group)
	p.whole()

	check := func(d *host.Disk, who string) {
		t.Helper()
		got := make([]byte, 64<<10)
		for off, want := range map[int64]byte{0: 'c', 1 << 20: 'b', 2 << 20: 0, 3 << 20: 'b'} {
			p.must(d.Read(t.Context(), who, got, off))
			if !bytes.Equal(got, bytes.Repeat([]byte{want}, len(got))) {
				t.Errorf("%s: %q at %d, want %q", who, got[0], off, want)
			}
		}
	}
	check(b, rig.Name(rig.B))
	p.move(rig.A)
	_, a = only(rig.A) // the unit was gone for a moment: a host looks for it again
	check(a, rig.Name(rig.A))
}

// pause is a condition that becomes true after d.
func pause(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}
