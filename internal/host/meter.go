// SPDX-License-Identifier: Apache-2.0

package host

import (
	"sync"
	"time"
)

// A Meter watches the commands of a host. The zero value is ready.
type Meter struct {
	mu      sync.Mutex
	last    uint64
	pending map[uint64]time.Time
	windows map[*Window]struct{}
}

// Counts are what a window saw.
type Counts struct {
	Reads, Writes int
	Bytes         int64
	Errors        int
	// Longest is the longest time that a command took which ended in the window, or
	// has taken that is still under way: how long whoever issued it stood still.
	Longest time.Duration
}

// A Window counts from its opening to its closing.
type Window struct {
	meter *Meter
	c     Counts
}

// Open opens a window.
func (m *Meter) Open() *Window {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.windows == nil {
		m.windows = map[*Window]struct{}{}
	}
	w := &Window{meter: m}
	m.windows[w] = struct{}{}
	return w
}

// Take returns the counts since the opening or the last Take.
func (w *Window) Take() Counts {
	w.meter.mu.Lock()
	defer w.meter.mu.Unlock()
	c := w.peek(time.Now())
	w.c = Counts{}
	return c
}

// Peek returns the counts so far.
func (w *Window) Peek() Counts {
	w.meter.mu.Lock()
	defer w.meter.mu.Unlock()
	return w.peek(time.Now())
}

func (w *Window) peek(now time.Time) Counts {
	c := w.c
	for _, t := range w.meter.pending {
		c.Longest = max(c.Longest, now.Sub(t))
	}
	return c
}

// Close ends the window and returns its counts.
func (w *Window) Close() Counts {
	w.meter.mu.Lock()
	defer w.meter.mu.Unlock()
	delete(w.meter.windows, w)
	return w.peek(time.Now())
}

// begin notes a command; the function returned notes its end.
func (m *Meter) begin(write bool, size int) func(error) {
	start := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		m.pending = map[uint64]time.Time{}
	}
	m.last++
	id := m.last
	m.pending[id] = start
	return func(err error) {
		took := time.Since(start)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.pending, id)
		for w := range m.windows {
			w.c.note(write, size, took, err)
		}
	}
}

func (c *Counts) note(write bool, size int, took time.Duration, err error) {
	c.Longest = max(c.Longest, took)
	switch {
	case err != nil:
		c.Errors++
		return
	case write:
		c.Writes++
	default:
		c.Reads++
	}
	c.Bytes += int64(size)
}
