// SPDX-License-Identifier: Apache-2.0

package qos

import (
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// Engine knows which rules hold for which volume.
type Engine struct {
	limits atomic.Pointer[map[array.VolumeID][]*Limiter] // replaced, never changed
}

// Use makes these the rules of the volumes.
func (e *Engine) Use(limits map[array.VolumeID][]*Limiter) { e.limits.Store(&limits) }

// Admit admits a command with so many bytes of data to a volume. It returns how long it is
// to wait first, and whom to tell, unless he is nil, how long it took then; false if the
// command would have to wait for longer than most. A volume in several sets is under the
// rules of all.
func (e *Engine) Admit(v array.VolumeID, now time.Time, bytes int64, most time.Duration) (wait time.Duration, ended func(time.Duration), ok bool) {
	m := e.limits.Load()
	if m == nil {
		return 0, nil, true
	}
	rules := (*m)[v]
	if len(rules) == 0 {
		return 0, nil, true
	}
	waits := make([]time.Duration, 0, 4)
	for i, l := range rules {
		w, ok := l.admit(now, bytes, most)
		if !ok {
			for j := range i {
				rules[j].back(bytes, waits[j])
			}
			return 0, nil, false
		}
		waits, wait = append(waits, w), max(wait, w)
	}
	return wait, func(took time.Duration) {
		for _, l := range rules {
			l.ended(took)
		}
	}, true
}

// Second ends a second of all rules: those with a lower priority than one whose goal was
// missed yield to it.
func Second(all []*Limiter) {
	var missed Priority
	for _, l := range all {
		missed = max(missed, l.second())
	}
	for _, l := range all {
		l.yield(missed)
	}
}
