// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// TestACopyThatIsRefusedBeginsAnew: a volume comes to the serving array while it copies, and to the
// other one some seconds after the copy has ended. That one can't take the copy, and the source, for
// which it is over, begins it anew.
func TestACopyThatIsRefusedBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		w.run(4 * time.Second)
		w.kill(b, true)
		w.run(60 * time.Second)     // A's journal lets go of what B lacks
		for _, c := range w.hosts { // whose writes would show it
			c.stopping = true
		}
		w.run(3 * time.Second)
		w.net.delay = 50 * time.Millisecond
		w.boot(b)
		for n := 0; ; n++ {
			w.run(step)
			i, err := b.p.g.Info()
			w.must(err)
			if strings.HasPrefix(i.Copy, "taking pages") {
				break
			}
			if i.Synced || n > 4000 {
				t.Fatalf("B takes no copy: %s", i.Copy)
			}
		}
		a.p.add(array.VolumeID(volumes + 1))
		w.run(8 * time.Second)
		if ok, _ := w.whole(); ok {
			t.Fatal("whole without a volume")
		}
		b.p.add(array.VolumeID(volumes + 1))
		w.run(20 * time.Second)
		if ok, text := w.whole(); !ok {
			t.Fatalf("not whole:\n%s", text)
		}
	})
}
