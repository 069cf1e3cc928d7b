// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"testing"
	"time"
)

func TestGatherWaitsForThoseWhoWereAnswered(t *testing.T) {
	now := time.Unix(1000, 0)
	var g gather
	g.took = 600 * time.Microsecond
	g.flushed(gatherLeast-1, 0, g.took, now)
	if d := g.left(1, now); d != 0 {
		t.Errorf("after a flush of few the next one waits %v", d)
	}
	g.flushed(16, 3, g.took, now)
	if d := g.left(4, now); d != 200*time.Microsecond {
		t.Errorf("waits %v of a flush of 600 us", d)
	}
	if d := g.left(19, now); d != 0 {
		t.Errorf("all have come, and it waits %v", d)
	}
	g.flushed(16, 0, g.took, now)
	if d := g.left(10, now.Add(200*time.Microsecond)); d != 0 {
		t.Errorf("the time is over, and it waits %v", d)
	}
	g.took = time.Hour
	g.flushed(16, 0, g.took, now)
	if d := g.left(0, now); d != gatherMost {
		t.Errorf("waits %v, at most %v was wanted", d, gatherMost)
	}
}

func TestGatherRestsAfterWaitsInVain(t *testing.T) {
	now := time.Unix(1000, 0)
	var g gather
	g.took = time.Millisecond
	for n := range futileMost {
		g.flushed(8, 0, g.took, now)
		if g.left(0, now) == 0 {
			t.Fatalf("no wait after %d in vain", n)
		}
		now = now.Add(gatherMost)
		g.left(1, now) // one of eight came
	}
	for range restFor {
		g.flushed(8, 0, g.took, now)
		if d := g.left(0, now); d != 0 {
			t.Fatalf("waits %v though that was in vain", d)
		}
	}
	g.flushed(8, 0, g.took, now)
	if g.left(0, now) == 0 {
		t.Error("never waits again")
	}
}

func TestGatherGoesOnWhereItPays(t *testing.T) {
	now := time.Unix(1000, 0)
	var g gather
	g.took = time.Millisecond
	for n := range 10 * futileMost {
		g.flushed(8, 0, g.took, now)
		if g.left(0, now) == 0 {
			t.Fatalf("no wait after %d that paid", n)
		}
		now = now.Add(gatherMost)
		g.left(6, now)
	}
}
