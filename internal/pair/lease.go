// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"math"
	"sync"

	"github.com/perdure/perdure/internal/array"
)

// Leases is the account of both directions, stepped: time comes in as nanoseconds of
// any clock that never goes back. It may be used from any goroutine.
type Leases struct {
	mu sync.Mutex
	t  Timing
	// Held from the other array.
	until   int64  // by this array's clock
	renewed int64  // when the request of the newest answer was sent
	floor   int64  // answers to requests sent up to here give no lease: it was given up
	period  uint64 // the other's
	// Granted to the other array.
	granting  uint64 // 0: not now
	last      uint64 // newest period begun
	lastGrant int64
	broken    []brokenPeriod // oldest first
	ended     uint64
	born      int64
	// holder is the process that was granted to last, first its first period.
	holder array.StartID
	first  uint64
}

// brokenPeriod is one that was broken off, with the last grant of it.
type brokenPeriod struct {
	period    uint64
	lastGrant int64
}

// maxBroken bounds the broken periods that are remembered. One that is forgotten
// counts as ended later, with the next.
const maxBroken = 64

// Start begins the account at now, as if a lease had just been granted. Before, nothing is
// held, and nothing has ended.
func (l *Leases) Start(now int64, t Timing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t, l.last, l.lastGrant, l.born = t, 1, now, now
	l.broken = []brokenPeriod{{1, now}} // as if it had just granted
	l.renewed = now - int64(t.Detect) - 1
}

// Held returns the period of the lease that is held at now, 0 if none is.
func (l *Leases) Held(now int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now >= l.until {
		return 0
	}
	return l.period
}

// Answered takes a grant for the request sent at sent. Period 0 is an answer without a
// lease: the other array is there.
func (l *Leases) Answered(now, sent int64, period uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sent > now || sent < l.renewed || sent <= l.floor || now-sent > int64(l.t.Lease) {
		return
	}
	l.renewed = sent
	if period == 0 {
		return
	}
	l.period, l.until = period, sent+int64(l.t.Lease)
}

// Drop gives the lease up. A grant that is still on its way gives none.
func (l *Leases) Drop(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.floor = 0, now
}

// Grant begins or goes on with a period of a process of the other array and returns it.
func (l *Leases) Grant(now int64, to array.StartID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	if to != l.holder {
		l.breakOff()
		l.holder, l.first = to, l.last+1
	}
	if l.granting == 0 {
		l.last++
		l.granting = l.last
	}
	l.lastGrant = now
	return l.granting
}

// BreakOff ends the period in which this array grants: a later grant begins another.
func (l *Leases) BreakOff(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	l.breakOff()
}

func (l *Leases) breakOff() {
	if l.granting == 0 {
		return
	}
	if len(l.broken) == maxBroken {
		l.broken = append(l.broken[:0], l.broken[1:]...)
	}
	l.broken = append(l.broken, brokenPeriod{l.granting, l.lastGrant})
	l.granting = 0
}

// GivenUp takes a process's word that it holds no lease and that it takes none for what it
// asked before: nothing granted to it runs any more. Only the holder can say so; what was
// granted to earlier processes ends with its time.
func (l *Leases) GivenUp(now int64, by array.StartID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breakOff()
	if by == l.holder {
		for i := range l.broken {
			if l.broken[i].period >= l.first {
				l.broken[i].lastGrant = math.MinInt64 / 2
			}
		}
	}
	l.settle(now)
}

// settle notes what has surely ended: a period whose last grant is older than a
// lease can be, whatever was granted in later ones.
func (l *Leases) settle(now int64) {
	over := func(granted int64) bool { return now-granted > int64(l.t.Lease+l.t.margin()) }
	for len(l.broken) > 0 && over(l.broken[0].lastGrant) {
		l.ended = max(l.ended, l.broken[0].period)
		l.broken = append(l.broken[:0], l.broken[1:]...)
	}
	if l.granting != 0 && over(l.lastGrant) {
		l.ended, l.granting = l.granting, 0 // nobody asks any more
	}
}

// Ended returns the newest period of this array's grants that has surely ended.
func (l *Leases) Ended(now int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	return l.ended
}

// Running reports whether anything that this array granted may not have ended.
func (l *Leases) Running(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(now)
	return l.granting != 0 || len(l.broken) > 0
}

// Period returns the period in which this array grants, 0 if it does not.
func (l *Leases) Period() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granting
}

// LastRenewed returns when the request of the newest answer was sent.
func (l *Leases) LastRenewed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed
}
