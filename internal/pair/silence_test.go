// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"log/slog"
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
)

type fake struct{ silent int }

func (f *fake) Contact()                          {}
func (f *fake) Lost()                             {}
func (f *fake) Silent()                           { f.silent++ }
func (f *fake) Stuck(bool)                        {}
func (f *fake) PeerStuck()                        {}
func (f *fake) PeerRestarted()                    {}
func (f *fake) Wake()                             {}
func (f *fake) Doubted(bool) error                { return nil }
func (f *fake) Receive(group.Packet)              {}
func (f *fake) WitnessSeen(arb.WitnessView, bool) {}
func (f *fake) WitnessLost(bool)                  {}

// A group that is opened later than Detect after the relation (slow start) while the
// other array is dead never hears that it is silent.
func TestALateGroupHearsOfTheSilence(t *testing.T) {
	tm := DefaultTiming()
	tm.Detect = time.Minute // of which twice as much has gone by
	p := &Pair{cfg: Config{Timing: tm, Logger: slog.Default()}, clock: NewClock(), groups: map[array.GroupID]Group{}, silent: true}
	p.lease.Start(p.clock.Now()-int64(2*tm.Detect), tm)
	early, late := &fake{}, &fake{}
	p.Add(1, early)
	p.checkSilence()
	p.Add(2, late)
	for range 20 {
		p.checkSilence()
	}
	t.Logf("early told %d times, late %d times", early.silent, late.silent)
	if late.silent == 0 {
		t.Error("the late group is never told that the other array is silent")
	}
}
