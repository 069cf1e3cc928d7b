// SPDX-License-Identifier: Apache-2.0

package event

// Numbered is an event with its number, which grows from event to event, over restarts too.
type Numbered struct {
	ID uint64
	Event
}

// After returns the newest events with larger numbers, the oldest first. No event has the
// number 0.
func (l *Log) After(id uint64) (all []Numbered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.next - uint64(len(l.newest)) + 1
	for i, e := range l.newest {
		if n := first + uint64(i); n > id {
			all = append(all, Numbered{n, e})
		}
	}
	return all
}

// Watch returns a channel that gets something when there are new events, until stop is
// called.
func (l *Log) Watch() (news <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[chan struct{}]bool{}
	}
	l.watchers[ch] = true
	return ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, ch)
	}
}

// tell wakes who watches. The lock is held.
func (l *Log) tell() {
	for c := range l.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}
