// SPDX-License-Identifier: Apache-2.0

//go:build lab

package real

import (
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/lab"
	"github.com/perdure/perdure/internal/rig"
)

// TestStuckLink lets one of the two links swallow everything in silence, in both
// directions or in one, while the other carries on; when it comes back to life, what
// its connections held for so long comes late.
func TestStuckLink(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newSmall(t, 1, "64m").work(1, seed)
	for _, c := range []struct {
		link, from, to string
		d              lab.Direction
		stuck          time.Duration
	}{
		{lab.Link1, lab.A, lab.B, lab.Both, 3 * time.Second},
		{lab.Link2, lab.A, lab.B, lab.OneWay, 2 * time.Second},
		{lab.Link1, lab.B, lab.A, lab.OneWay, 2 * time.Second},
		{lab.Link2, lab.B, lab.A, lab.OneWay, 400 * time.Millisecond},
	} {
		w.bothLinks()
		what := c.link + " stuck from " + c.from + " to " + c.to
		meter := w.host.Meter().Open()
		w.must(w.Lab.Cut(c.from, c.to, c.link, c.d))
		before := w.Record(t.Context(), rig.A, group)
		w.goesOn()
		for end := time.Now().Add(c.stuck); time.Now().Before(end); {
			w.writes(5)
		}
		w.must(w.Lab.Heal(c.from, c.to, c.link, c.d))
		w.writes(300)
		saw := meter.Close()
		t.Logf("%s: the longest command took %v", what, saw.Longest.Round(time.Millisecond))
		if saw.Longest > 2*time.Second {
			t.Errorf("%s: a command took %v", what, saw.Longest)
		}
		if after := w.Record(t.Context(), rig.A, group); after != before {
			t.Errorf("%s: the record was %s and is %s, though one link carried on", what, before, after)
		}
		w.judge(what, true)
	}
	w.load.Stop()
}

// bothLinks waits until the arrays are connected over both links, as each sees it.
func (w *work) bothLinks() {
	w.t.Helper()
	w.until(setUpIn, "both links to be up", func() bool {
		for i := range 2 {
			text, err := w.Command(w.t.Context(), i, "showrcopy", "links")
			up := 0
			for _, line := range strings.Split(text, "\n") {
				if f := strings.Fields(line); len(f) > 3 && f[0] == rig.Name(1-i) && f[3] == "Up" {
					up++
				}
			}
			if err != nil || up != 2 {
				return false
			}
		}
		return true
	})
}
