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

// Use makes these the rules of the volumes: lists in one order, whichever that is.
func (e *Engine) Use(limits map[array.VolumeID][]*Limiter) { e.limits.Store(&limits) }

// Limited reports whether there are rules for a volume.
func (e *Engine) Limited(v array.VolumeID) bool {
	m := e.limits.Load()
	return m != nil && len(*m) > 0 && len((*m)[v]) > 0
}

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
	wait, ok = admit(rules, now, bytes, most)
	if !ok {
		return 0, nil, false
	}
	return wait, func(took time.Duration) {
		for _, l := range rules {
			l.ended(took)
		}
	}, true
}

// admit admits a command under all of some rules or none, which takes the locks of all at
// once: they are in the same order for every volume.
func admit(rules []*Limiter, now time.Time, bytes int64, most time.Duration) (wait time.Duration, ok bool) {
	for _, l := range rules {
		l.mu.Lock()
		defer l.mu.Unlock()
		wait = max(wait, l.wait(now))
	}
	for _, l := range rules {
		if wait <= most {
			l.take(now, bytes, wait)
		} else if l.wait(now) > most {
			l.refused++
		}
	}
	return wait, wait <= most
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
