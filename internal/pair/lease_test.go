// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
)

func TestLeases(t *testing.T) {
	const ms = int64(time.Millisecond)
	timing := DefaultTiming()
	holder := array.StartID{Count: 1, Nonce: 1}
	long := int64(timing.Lease+timing.margin()) + 1
	t.Run("a start counts as a grant", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		if l.Ended(long-2) != 0 || l.Ended(long) != 1 {
			t.Error("period 1 ended too early, or not at all")
		}
	})
	t.Run("a broken period ends while later ones go on", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		now := 10 * int64(time.Second)
		first := l.Grant(now, holder)
		l.BreakOff(now + ms)
		for end := now + long - 2*ms; now < end; now += 80 * ms {
			if p := l.Grant(now+2*ms, holder); p == first {
				t.Fatal("a broken period was granted again")
			}
			if l.Ended(now+2*ms) >= first {
				t.Fatalf("ended %v after its last grant", time.Duration(now))
			}
		}
		if got := l.Ended(10*int64(time.Second) + long); got != first {
			t.Errorf("ended %d, want %d", got, first)
		}
	})
	t.Run("a lease counts from the request", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		l.Answered(1000*ms, 400*ms, 7)
		if l.Held(1299*ms) != 7 || l.Held(1300*ms) != 0 {
			t.Error("the lease runs from the answer, or not as long")
		}
		l.Answered(2000*ms, 1000*ms, 7)
		if l.Held(2000*ms) != 0 {
			t.Error("an answer that took longer than a lease gave one")
		}
	})
	t.Run("what was given up is not given back by a late grant", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		l.Answered(100*ms, 90*ms, 7)
		l.Drop(110 * ms)
		l.Answered(120*ms, 105*ms, 7)
		if l.Held(121*ms) != 0 {
			t.Error("it was")
		}
		l.Answered(140*ms, 130*ms, 7)
		if l.Held(141*ms) != 7 {
			t.Error("a later request gives none")
		}
	})
	t.Run("the holder's word ends its leases at once, and only its own", func(t *testing.T) {
		now := 10 * int64(time.Second)
		var l Leases
		l.Start(0, timing)
		first := l.Grant(now, holder)
		l.GivenUp(now+ms, array.StartID{Count: 2, Nonce: 2})
		if l.Ended(now+ms) >= first {
			t.Error("another process ended it")
		}
		again := l.Grant(now+2*ms, holder)
		l.GivenUp(now+3*ms, holder)
		if l.Ended(now+3*ms) != again {
			t.Errorf("ended %d, want %d", l.Ended(now+3*ms), again)
		}
		l = Leases{}
		l.Start(0, timing)
		first = l.Grant(now, holder)
		restarted := array.StartID{Count: 2, Nonce: 2}
		if l.Grant(now+ms, restarted) == first {
			t.Fatal("a period went on over a restart")
		}
		l.GivenUp(now+2*ms, restarted)
		if l.Ended(now+2*ms) >= first {
			t.Error("a new process ended what an earlier one may hold")
		}
		if l.Ended(now+long) != l.last {
			t.Error("the earlier one's has not ended in its time")
		}
	})
	t.Run("an answer without a lease is heard", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		l.Answered(100*ms, 90*ms, 7)
		l.Drop(110 * ms)
		l.Answered(130*ms, 120*ms, 0)
		if l.Held(131*ms) != 0 || l.LastRenewed() != 120*ms {
			t.Errorf("held %d, heard at %v", l.Held(131*ms), l.LastRenewed())
		}
	})
	t.Run("broken periods are bounded", func(t *testing.T) {
		var l Leases
		l.Start(0, timing)
		for i := range int64(1000) {
			l.Grant(i, holder)
			l.BreakOff(i)
		}
		if len(l.broken) > maxBroken {
			t.Errorf("%d are kept", len(l.broken))
		}
		if l.Ended(1000+long) != l.last {
			t.Error("the last has not ended")
		}
	})
}
