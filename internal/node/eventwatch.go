// SPDX-License-Identifier: Apache-2.0

package node

import "slices"

// eventsPerStart is how many bits of an event's number count within one start; the rest
// counts the starts. All fit what JSON's numbers hold exactly.
const eventsPerStart = 24

// news wakes those who wait for events. Node.mu guards it.
type news struct {
	last     uint64 // the events of this start
	watchers map[chan struct{}]bool
}

func (w *news) tell() {
	for c := range w.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}

// WatchEvents returns a channel that gets something when there are new events, until stop
// is called.
func (n *Node) WatchEvents() (c <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.news.watchers == nil {
		n.news.watchers = map[chan struct{}]bool{}
	}
	n.news.watchers[ch] = true
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.news.watchers, ch)
	}
}

// EventsAfter returns the newest events with a larger number, oldest first.
func (n *Node) EventsAfter(id uint64) []Event {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for i, e := range n.events {
		if e.ID > id {
			return slices.Clone(n.events[i:])
		}
	}
	return nil
}
