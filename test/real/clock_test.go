// SPDX-License-Identifier: Apache-2.0

//go:build lab && clock

package real

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perdure/perdure/internal/rig"
)

// stepBy steps the machine's clock for the time of day.
func stepBy(d time.Duration) error {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return err
	}
	ts = unix.NsecToTimespec(ts.Nano() + int64(d))
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return fmt.Errorf("step the clock by %v: %w", d, err)
	}
	return nil
}

// TestClockSteps: hosts and arrays go on when somebody sets the time of day, be it by an
// hour or by ten years, in which certificates end. The machine's clock is set right again
// by what was added to it. It is everybody's clock, so the test is built by `make clock` only.
func TestClockSteps(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour} {
		w := newSites(t)
		windows := w.open()
		w.must(stepBy(by))
		w.goOn([]string{"west", "east", "both"})
		w.Array(rig.B).Kill() // what meets again does so at the wrong time
		w.start(rig.B)
		w.judge()
		w.must(stepBy(-by))
		for i, s := range w.all {
			s.load.Start()
			t.Logf("a step of %v: %s paused %d ms", by, s.name, windows[i].Close().Longest.Milliseconds())
		}
		w.goOn([]string{"west", "east", "both"})
		w.judge()
	}
}
