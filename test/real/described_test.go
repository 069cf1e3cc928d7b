// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/rig"
)

// TestAdmittedWhileAway admits a volume, and writes it, while the other array is away
// for so long that its log is gone when it returns: it has all of it before it counts
// as whole.
func TestAdmittedWhileAway(t *testing.T) {
	w := newSmall(t, 1, "64m").work(1, uint64(time.Now().UnixNano()))
	w.must(w.Array(rig.B).Kill())
	w.alone(rig.A)
	w.command(rig.A, "admitrcopyvv", "-createvv", "-size", "16m", "late", group)
	const second = "iqn.2026-01.org.example:second"
	w.command(rig.A, "createhost", "second", second)
	w.command(rig.A, "createvlun", "late", "auto", "second")
	h, err := w.HostNamed(second)
	w.must(err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), setUpIn)
	defer cancel()
	disks, err := h.Wait(ctx, 1)
	w.must(err)
	late := disks[0]
	content := func(n int64) []byte { return bytes.Repeat([]byte{byte(n + 1), 0xa5}, 32<<10) }
	for n := range int64(64) {
		w.must(late.Write(t.Context(), content(n), n<<16))
	}
	w.writes(20000) // 80 MB: the journal lets go of what came before
	w.start(rig.B)
	w.judge("back", true)
	w.must(w.Array(rig.A).Kill())
	w.alone(rig.B)
	for n := range int64(64) {
		got := make([]byte, 64<<10)
		w.must(late.Read(t.Context(), rig.Name(rig.B), got, n<<16))
		if !bytes.Equal(got, content(n)) {
			t.Fatalf("what was written at %d while B was away is not there", n<<16)
		}
	}
	w.load.Stop()
}

// TestNotDescribed: an array that can't take the group's newest description is not
// taken back, and both arrays say why.
func TestNotDescribed(t *testing.T) {
	p := newSmall(t, 1, "64m")
	p.must(p.Array(rig.B).Kill())
	p.alone(rig.A)
	p.command(rig.A, "admitrcopyvv", "-createvv", "-size", "16m", "twin", group)
	p.must(p.CutLinks())
	p.start(rig.B)
	p.command(rig.B, "createvv", "cpg0", "twin", "32m")
	p.must(p.HealLinks())
	p.until(setUpIn, "A to say why B is not taken back", func() bool {
		return strings.Contains(p.command(rig.A, "explain", group), "newest description") &&
			strings.Contains(p.command(rig.A, "showeventlog"), "volume twin exists on array array-b and is another one")
	})
	if p.InSync(t.Context(), group) {
		t.Fatal("B counts as whole without the volume")
	}
	p.command(rig.B, "removevv", "-f", "twin")
	p.whole()
}

// TestAskedElsewhere gives commands on a group to the array that does not serve it, and
// to both at once.
func TestAskedElsewhere(t *testing.T) {
	p := newSmall(t, 2, "64m")
	p.command(rig.B, "setrcopygroup", "pol", "no_auto_recover", group)
	if text := p.command(rig.A, "showrcopy"); strings.Contains(text, "auto_recover") {
		t.Errorf("the policy was not changed:\n%s", text)
	}
	p.command(rig.B, "setrcopygroup", "pol", "auto_recover", group)
	p.command(rig.B, "removevlun", "-f", "g.1", "1", "host")
	p.command(rig.B, "createvlun", "g.1", "5", "host")
	if text := p.command(rig.A, "showvlun"); !strings.Contains(text, "5") {
		t.Errorf("the export was not made:\n%s", text)
	}
	p.command(rig.B, "creatercopygroup", "h", "array-a:sync")
	p.command(rig.B, "admitrcopyvv", "-createvv", "-size", "16m", "h.0", "h")
	p.command(rig.B, "startrcopygroup", "-wait", "h")
	done := make(chan error, 2)
	for i, words := range [][]string{{"createvlun", "h.0", "8", "host"}, {"removevlun", "-f", "g.1", "5", "host"}} {
		go func() {
			_, err := p.Command(t.Context(), 1-i, words...)
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("two commands at once: %v", err)
		}
	}
	p.whole()
	p.command(rig.A, "removevlun", "-f", "h.0", "8", "host")
	p.command(rig.A, "removercopygroup", "-f", "-destroy", "h")
	for i := range 2 {
		if text := p.command(i, "showrcopy") + p.command(i, "showvv") + p.command(i, "showeventlog"); strings.Contains(text, "h.0") || strings.Contains(text, "keeps its register") {
			t.Errorf("%s: group h was removed:\n%s", rig.Name(i), text)
		}
	}
}

// TestOneLUNOneVolume: a LUN that a host sees is not given to another volume, however
// it is named.
func TestOneLUNOneVolume(t *testing.T) {
	p := newSmall(t, 1, "64m")
	p.command(rig.A, "createhostset", "s", "host")
	p.command(rig.A, "createvv", "cpg0", "other", "32m")
	p.refused(rig.A, "LUN 0", "createvlun", "other", "0", "set:s")
	if text := p.command(rig.A, "createvlun", "other", "auto", "set:s"); !strings.Contains(text, "LUN 1") {
		t.Errorf("auto: %s; want LUN 1", text)
	}
	p.must(p.CutLinks()) // hosts are not what they are on the other array
	p.until(setUpIn, "the arrays to miss each other", func() bool {
		return strings.Contains(p.command(rig.A, "status")+p.command(rig.B, "status"), "does not answer")
	})
	p.command(rig.B, "createhost", "h9", "iqn.2026-01.org.example:of-b")
	p.command(rig.B, "createvv", "cpg0", "secret", "32m")
	p.command(rig.B, "createvlun", "secret", "0", "h9")
	p.command(rig.A, "createhost", "h9", "iqn.2026-01.org.example:of-a")
	p.command(rig.A, "createhost", "alias", "iqn.2026-01.org.example:of-b")
	p.must(p.HealLinks())
	p.until(setUpIn, "the arrays to answer each other", func() bool {
		return !strings.Contains(p.command(rig.A, "status")+p.command(rig.B, "status"), "does not answer")
	})
	p.whole()
	p.refused(rig.A, "host h9 is another one on array array-b", "createvlun", "g.0", "5", "h9")
	p.refused(rig.A, "initiator iqn.2026-01.org.example:of-b belongs to host alias and to host h9", "createvlun", "g.0", "5", "alias")
	p.until(setUpIn, "an event on each array", func() bool {
		return strings.Contains(p.command(rig.A, "showeventlog"), "host h9 was changed here") && strings.Contains(p.command(rig.B, "showeventlog"), "host h9 was changed here")
	})
	p.command(rig.A, "removehost", "-f", "alias")
	p.command(rig.A, "removehost", "-f", "h9")
	p.until(setUpIn, "the host of array-b to be on both", func() bool { return strings.Contains(p.command(rig.A, "showhost"), "of-b") })
	p.whole()
}

// refused gives a command that must fail, and tell.
func (p *pair) refused(i int, tells string, words ...string) {
	p.t.Helper()
	out, err := p.Command(p.t.Context(), i, words...)
	if err == nil || !strings.Contains(err.Error(), tells) {
		p.t.Errorf("%s: %q, %v; want an error that tells %q", strings.Join(words, " "), out, err, tells)
	}
}
