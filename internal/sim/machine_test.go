// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"time"

	"github.com/perdure/perdure/internal/vfs"
)

// clock is a machine's: at set it showed shown nanoseconds, and runs at rate from then on.
type clock struct {
	set   time.Time
	shown int64
	rate  float64
}

// now is what the machine's clock shows.
func (m *machine) now() int64 {
	c := m.clock.Load()
	return c.shown + int64(float64(time.Since(c.set))*c.rate)
}

// runs lets the machine's clock run at this rate from now on.
func (m *machine) runs(rate float64) {
	m.clock.Store(&clock{set: time.Now(), shown: m.now(), rate: rate})
}

func (p *process) now() int64 { return p.m.now() }

// still reports whether the process is stopped.
func (p *process) still() bool { return time.Now().UnixNano() < p.stopped.Load() }

// alive is the time; a process that is stopped gets no further than here.
func (p *process) alive() time.Time {
	for p.still() && !p.dead.Load() {
		time.Sleep(step)
	}
	return time.Now()
}

// slowly makes a slow disk's flushes of the journal take their time. Those of pages are made
// under a lock: nobody could wait for it, and time stand still no less.
func (p *process) slowly(op vfs.Op) {
	if op.Verb != vfs.OpSync || !strings.HasPrefix(op.Name, "journal/") {
		return
	}
	for end := p.flush.Load() + time.Now().UnixNano(); !p.dead.Load(); time.Sleep(step) {
		if now := time.Now().UnixNano(); now >= end || now >= p.slowUntil.Load() {
			return
		}
	}
}
