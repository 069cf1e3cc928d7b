// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"testing"
	"time"
)

// TestRules plays an array's day, a line a moment.
func TestRules(t *testing.T) {
	both := Facts{Mirrored: 2, Contact: true, Granting: true}
	with := func(f Facts, change func(*Facts)) Facts { change(&f); return f }
	alone := Facts{Mirrored: 2, Alone: 2}
	tests := []struct {
		after time.Duration
		what  string
		f     Facts
		want  Want
	}{
		{0, "no groups yet", Facts{Granting: true}, Want{Own: true}},
		{time.Second, "a start, before anything is known", Facts{Mirrored: 2, Granting: true}, Want{}},
		{time.Second, "in contact, and the other stands in", with(both, func(f *Facts) { f.PeerStandsIn = true }), Want{}},
		{time.Second, "in contact", both, Want{Own: true}},
		{time.Second, "the other is silent, its leases may run", Facts{Mirrored: 2, Granting: true}, Want{}},
		{time.Second, "they have ended, nothing is decided", Facts{Mirrored: 2}, Want{}},
		{time.Second, "alone in one group of two", Facts{Mirrored: 2, Alone: 1}, Want{Own: true}},
		{Gone - time.Second - 1, "alone in all, a moment too early", alone, Want{Own: true}},
		{1, "alone in all, long enough", alone, Want{Own: true, Others: true}},
		{time.Hour, "still", alone, Want{Own: true, Others: true}},
		{time.Second, "a group of the other's was found", with(alone, func(f *Facts) { f.Mirrored = 3 }), Want{Own: true}},
		{time.Second, "alone in all again", alone, Want{Own: true, Others: true}},
		{time.Second, "the other asks for a lease", with(alone, func(f *Facts) { f.Granting = true }), Want{Own: true}},
		{time.Second, "silent again: the wait begins anew", alone, Want{Own: true}},
		{Gone - 1, "not yet", alone, Want{Own: true}},
		{1, "gone", alone, Want{Own: true, Others: true}},
		{1, "no groups are left", Facts{}, Want{Own: true}},
	}
	var r Rules
	now := time.Unix(1000, 0)
	for _, x := range tests {
		now = now.Add(x.after)
		if got := r.Step(now, x.f); got != x.want {
			t.Errorf("%s: %+v, want %+v", x.what, got, x.want)
		}
	}
}
