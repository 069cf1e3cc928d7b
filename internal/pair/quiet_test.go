// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"testing"
	"time"
)

// TestWhoStoodStillHimselfHeardNothing: an array that gets no processor for a second finds
// the answers that came meanwhile unread. It reads them before it says that the other one is
// silent, which costs a beat; but the other's silence is noticed as fast as ever.
func TestWhoStoodStillHimselfHeardNothing(t *testing.T) {
	tm := DefaultTiming()
	beat := int64(tm.Beat)
	var q quiet
	now := int64(time.Minute)
	renewed := now
	for range 10 { // all is well
		now += beat
		if q.after(now, renewed, tm) {
			t.Fatal("the other array is said to be silent while it answers")
		}
		renewed = now
	}
	now += int64(time.Second)
	if q.after(now, renewed, tm) {
		t.Error("the other array is said to be silent because this one stood still for a second")
	}
	now += beat
	renewed = now - beat/2
	if q.after(now, renewed, tm) {
		t.Error("the other array is said to be silent after its answers were read")
	}
	from := now
	for !q.after(now, renewed, tm) { // now it is silent
		now += beat
	}
	if took := time.Duration(now - from); took > tm.Detect+tm.Beat {
		t.Errorf("silence was noticed after %v, want %v", took, tm.Detect+tm.Beat)
	}
}

// TestHardlyAnyProcessorDelaysOnly: an array that always comes late finds a silent one too.
func TestHardlyAnyProcessorDelaysOnly(t *testing.T) {
	tm := DefaultTiming()
	var q quiet
	from := int64(time.Minute)
	now := from
	for !q.after(now, from, tm) {
		now += int64(tm.Detect)
		if took := time.Duration(now - from); took > 4*tm.Detect {
			t.Fatalf("silence is not noticed after %v", took)
		}
	}
}
