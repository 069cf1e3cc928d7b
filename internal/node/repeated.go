// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// tellAgain is how long the same news are told once only: who is refused, or fails,
	// tries again, and would push everything else out of the events.
	tellAgain = 10 * time.Minute
	// maxRepeated bounds the news that are remembered.
	maxRepeated = 64
)

// repeated are news told of late that may come again and again.
type repeated struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// fresh reports whether news are to be told. When there is no room, as with strangers of
// many addresses, new ones are not.
func (r *repeated) fresh(what string, now time.Time) bool {
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
	if _, known := r.told[what]; known || len(r.told) >= maxRepeated {
		return false
	}
	r.told[what] = now
	return true
}

// maxDenials bounds how many commands that a user may not give are in the audit log for each tellAgain:
// one who may change nothing shall not push out who changed what.
const maxDenials = 100

// denials count them.
type denials struct {
	mu    sync.Mutex
	since time.Time
	of    map[string]int // by user, of whom there are people's most
}

func (d *denials) room(user string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil || now.Sub(d.since) >= tellAgain {
		d.since, d.of = now, map[string]int{}
	}
	d.of[user]++
	return d.of[user] <= maxDenials
}

// eventOnce tells what may come again and again.
func (n *Node) eventOnce(text string) {
	if n.repeated.fresh(text, time.Now()) {
		n.warn(text + fmt.Sprintf(" (more like it are not told for %v)", tellAgain))
	}
}

// alarmOnce does so with what a person has to look at.
func (n *Node) alarmOnce(text string) {
	if n.repeated.fresh(text, time.Now()) {
		n.alarm(text + fmt.Sprintf(" (more like it are not told for %v)", tellAgain))
	}
}

// refused takes the news of a link connection that was refused.
func (n *Node) refused(from net.Addr, err error) {
	host, _, e := net.SplitHostPort(from.String())
	if e != nil {
		host = from.String()
	}
	n.eventOnce(fmt.Sprintf("link connection from %s refused: %v", host, err))
}
