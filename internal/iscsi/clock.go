// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/scsi"
)

const tick = 250 * time.Millisecond

// pulse notices when the process stood still: it is to beat every tick, and
// whoever has bytes in hand asks when it last did. It counts CLOCK_BOOTTIME,
// which goes on while the machine is suspended.
type pulse struct {
	last   atomic.Int64
	stalls atomic.Uint64
	now    func() int64
}

func newPulse() *pulse {
	p := &pulse{now: boottime.Nano}
	p.last.Store(p.now())
	return p
}

// beat is called every tick. A stall is counted before the new time shows, so
// that nobody who sees the new time misses it.
func (p *pulse) beat() {
	now := p.now()
	if now-p.last.Load() >= int64(scsi.Late) {
		p.stalls.Add(1)
	}
	p.last.Store(now)
}

// steady reports whether, at now, the process has not stood still since stalls
// had the value given.
func (p *pulse) steady(now int64, stalls uint64) bool {
	return now-p.last.Load() < int64(scsi.Late) && p.stalls.Load() == stalls
}
