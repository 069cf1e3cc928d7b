// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"sync"
	"sync/atomic"
)

// maxUnacked bounds the statuses whose acknowledgement somebody waits for.
const maxUnacked = 1024

// unacked is a status that was sent.
type unacked struct {
	statSN uint32
	f      func()
}

// ledger holds who waits for the host's acknowledgement of a status. It is empty
// but for COMPARE AND WRITEs, and then a look at it costs nothing.
type ledger struct {
	waits   atomic.Int32 // len(unacked), readable without the lock
	mu      sync.Mutex
	unacked []unacked // in the order of StatSN
}

// await notes that f waits for the acknowledgement of statSN. Beyond the
// bound the oldest is forgotten, as if the session ended before.
func (l *ledger) await(statSN uint32, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unacked) >= maxUnacked {
		l.unacked = l.unacked[1:]
	}
	l.unacked = append(l.unacked, unacked{statSN, f})
	l.waits.Store(int32(len(l.unacked)))
}

// acknowledged takes the ExpStatSN of a request: the host has all before it.
func (l *ledger) acknowledged(exp uint32) {
	if l.waits.Load() == 0 {
		return
	}
	var fs []func()
	l.mu.Lock()
	for len(l.unacked) > 0 && int32(exp-l.unacked[0].statSN) > 0 {
		fs = append(fs, l.unacked[0].f)
		l.unacked = l.unacked[1:]
	}
	l.waits.Store(int32(len(l.unacked)))
	l.mu.Unlock()
	for _, f := range fs {
		f()
	}
}
