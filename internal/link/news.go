// SPDX-License-Identifier: Apache-2.0

package link

import (
	"sync"
	"time"
)

// news is something that happens now and then and that many may wait for. The zero value is
// ready for use.
type news struct {
	mu   sync.Mutex
	next chan struct{} // closed when it happens
	told time.Time
}

// heard returns a channel that is closed when it happens next.
func (n *news) heard() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

// tell wakes who waits, but not twice within pause: a connection that comes and goes must
// not make the others knock as often.
func (n *news) tell(now time.Time, pause time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil || !n.told.IsZero() && now.Sub(n.told) < pause {
		return
	}
	close(n.next)
	n.next, n.told = nil, now
}
