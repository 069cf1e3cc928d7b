// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"slices"
	"sync"
)

// gate says how far a command may go in its task set.
type gate uint8

const (
	gateNone   gate = iota // not in the set
	gateOpen               // may run
	gateClosed             // behind an ORDERED command, or one, with commands before it
	gateReady              // closed, and all it needs has come
)

// taskSet holds one nexus' commands on one unit in the order in which they came,
// as far as order matters: an ORDERED command runs after all before it and before
// all after it. SIMPLE ones run as they please. Few hosts send ORDERED commands,
// so without one this is a counter.
type taskSet struct {
	mu      sync.Mutex
	running int        // commands with an open gate
	barrier bool       // the one running is ORDERED
	waiting []*Command // closed, in order
}

// enter takes c into the set.
func (t *taskSet) enter(c *Command) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.gate = gateClosed
	if len(t.waiting) == 0 && t.admits(c) {
		t.open(c)
		return
	}
	t.waiting = append(t.waiting, c)
}

func (t *taskSet) admits(c *Command) bool {
	return !t.barrier && (!c.Ordered || t.running == 0)
}

func (t *taskSet) open(c *Command) {
	c.gate = gateOpen
	t.running++
	t.barrier = c.Ordered
}

// pass reports whether c may run now. If not, leave of another command returns it.
func (t *taskSet) pass(c *Command) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.gate == gateClosed {
		c.gate = gateReady
		return false
	}
	return true
}

// leave takes c out, and returns those that waited for it and may now run.
func (t *taskSet) leave(c *Command) (run []*Command) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch c.gate {
	case gateNone:
		return nil
	case gateOpen:
		t.running--
		if c.Ordered {
			t.barrier = false
		}
	default:
		t.waiting = slices.DeleteFunc(t.waiting, func(w *Command) bool { return w == c })
	}
	c.gate = gateNone
	for len(t.waiting) > 0 && t.admits(t.waiting[0]) {
		w := t.waiting[0]
		t.waiting = t.waiting[1:]
		if w.gate == gateReady {
			run = append(run, w)
		}
		t.open(w)
	}
	return run
}
