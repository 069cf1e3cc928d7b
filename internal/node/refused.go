// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// tellAgain is how long the same refusal is told once only: who is refused tries
	// again, and would push everything else out of the events.
	tellAgain = 10 * time.Minute
	// maxRefusals bounds the refusals that are remembered.
	maxRefusals = 64
)

// refusals are the link connections refused of late.
type refusals struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// fresh reports whether a refusal is to be told. Strangers with many addresses or
// reasons are told once for all of them when there is no room.
func (r *refusals) fresh(what string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told == nil {
		r.told = map[string]time.Time{}
	}
	for k, at := range r.told {
		if now.Sub(at) >= tellAgain {
			delete(r.told, k)
		}
	}
	if _, known := r.told[what]; known || len(r.told) >= maxRefusals {
		return false
	}
	r.told[what] = now
	return true
}

// refused takes the news of a link connection that was refused.
func (n *Node) refused(from net.Addr, err error) {
	host, _, e := net.SplitHostPort(from.String())
	if e != nil {
		host = from.String()
	}
	text := fmt.Sprintf("link connection from %s refused: %v", host, err)
	if n.refusals.fresh(text, time.Now()) {
		n.event(text + fmt.Sprintf(" (more like it are not told for %v)", tellAgain))
	}
}
