// SPDX-License-Identifier: Apache-2.0

package group

import (
	"testing"
	"time"
)

// TestAllowance sends 64 KiB at a time over ways of different width, as much as is
// allowed, and looks at how long the answers take in the end.
func TestAllowance(t *testing.T) {
	for _, way := range []struct {
		name      string
		perSecond int64
	}{{"1 Mbit/s", 125_000}, {"20 Mbit/s", 2_500_000}, {"100 Mbit/s", 12_500_000}, {"10 Gbit/s", 1_250_000_000}} {
		const size = 64 << 10
		var a allowance
		var queue []time.Time // when each was sent
		now := time.Unix(1, 0)
		free := now // when the way is free again
		var took time.Duration
		for range 4000 {
			for int64(len(queue))*size < a.size() {
				queue = append(queue, now)
			}
			if free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(size * int64(time.Second) / way.perSecond))
			now = free
			took = now.Sub(queue[0])
			a.answered(size, queue[0], now)
			queue = queue[1:]
		}
		most := slowForward + time.Duration(leastAllowance*int64(time.Second)/way.perSecond)
		if took > most {
			t.Errorf("%s: an answer takes %v in the end, want at most %v", way.name, took, most)
		}
		if least := min(window, way.perSecond/20); a.size() < least {
			t.Errorf("%s: %d bytes are allowed in the end, want %d", way.name, a.size(), least)
		}
	}
}
