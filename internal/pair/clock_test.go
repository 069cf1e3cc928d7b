// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeClocks are the two clocks of a machine. Before each reading what is due happens.
type fakeClocks struct {
	boot, raw int64
	due       []func(*fakeClocks)
}

func (f *fakeClocks) read(id int32) int64 {
	if len(f.due) > 0 {
		f.due[0](f)
		f.due = f.due[1:]
	}
	if id == unix.CLOCK_BOOTTIME {
		return f.boot
	}
	return f.raw
}

func passes(d time.Duration) func(*fakeClocks) {
	return func(f *fakeClocks) { f.boot += int64(d); f.raw += int64(d) }
}

func sleeps(d time.Duration) func(*fakeClocks) {
	return func(f *fakeClocks) { f.boot += int64(d) }
}

// TestAWaitForAProcessorIsNoStep: between the two readings a process may have to wait for a
// processor, on a machine that others want too. No lease is dropped because of that, and
// none the next time because the first comparison was wrong.
func TestAWaitForAProcessorIsNoStep(t *testing.T) {
	f := &fakeClocks{}
	c := newClock(f.read)
	f.due = []func(*fakeClocks){passes(80 * time.Millisecond), passes(60 * time.Millisecond)}
	for n := range 3 {
		if !c.Sane() {
			t.Fatalf("check %d: the clocks are said to disagree", n)
		}
		f.due = []func(*fakeClocks){passes(80 * time.Millisecond)}
	}
}

// TestASleepIsSeen: wherever it falls, between two checks or between two readings.
func TestASleepIsSeen(t *testing.T) {
	for reading := range 4 {
		f := &fakeClocks{}
		c := newClock(f.read)
		f.due = make([]func(*fakeClocks), reading+1)
		for n := range f.due {
			f.due[n] = passes(0)
		}
		f.due[reading] = sleeps(300 * time.Millisecond)
		saw := !c.Sane()
		passes(80 * time.Millisecond)(f)
		if saw = saw || !c.Sane(); !saw {
			t.Errorf("a sleep before reading %d was not seen", reading)
		}
		passes(80 * time.Millisecond)(f)
		if !c.Sane() {
			t.Errorf("after a sleep before reading %d the clocks are still said to disagree", reading)
		}
	}
}

// TestClocksThatCantBeReadTogetherAreNotTrusted: who has to wait between all readings knows
// nothing, and does not call that sane; later the whole stretch is compared.
func TestClocksThatCantBeReadTogetherAreNotTrusted(t *testing.T) {
	f := &fakeClocks{}
	c := newClock(f.read)
	for range 3 * tries {
		f.due = append(f.due, passes(50*time.Millisecond))
	}
	if c.Sane() {
		t.Error("readings that were far apart are said to agree")
	}
	if f.due = nil; !c.Sane() {
		t.Error("the stretch before is still said to be wrong")
	}
	for range 3 * tries {
		f.due = append(f.due, passes(50*time.Millisecond))
	}
	f.due[7] = sleeps(time.Minute)
	if c.Sane() {
		t.Error("readings that were far apart are said to agree")
	}
	if f.due = nil; c.Sane() {
		t.Error("a sleep while the clocks could not be compared was not seen")
	}
}
