// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"sync"
	"time"
)

// idle ends a connection that nothing came from for a while, and that runs nothing.
type idle struct {
	mu    sync.Mutex
	span  time.Duration
	timer *time.Timer
	busy  int
}

func newIdle(span time.Duration, end func()) *idle {
	return &idle{span: span, timer: time.AfterFunc(span, end)}
}

// touch says that something came.
func (i *idle) touch() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.busy == 0 {
		i.timer.Reset(i.span)
	}
}

// begin says that a command runs, until end.
func (i *idle) begin() (end func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy++
	i.timer.Stop()
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.busy--; i.busy == 0 {
			i.timer.Reset(i.span)
		}
	}
}

func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timer.Stop()
	i.busy++ // so that nothing starts it again
}
