// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"runtime"
	"sync"
	"time"
)

const (
	// turnsPerProcessor is how many commands' worth of work for each processor units
	// are given at a time, while several hosts have some: enough to keep disks and
	// journal at work, so few that what comes later does not wait for long.
	turnsPerProcessor = 8
	// turnBytes is how much data is worth another command.
	turnBytes = 16 << 10
	// turnPatience is after how long a command no longer counts: it waits for something
	// that is not worked at here, such as another site, or a group that is undecided.
	turnPatience = 2 * time.Millisecond
	// turnMemory is how long a host is remembered as one of several.
	turnMemory = time.Second
	// drainMost is how many commands one goroutine begins for others.
	drainMost = 64
)

// turnState is where a command stands with the turns; guarded by turns.mu.
type turnState uint8

const (
	turnNone    turnState = iota
	turnWaiting           // in its host's queue
	turnRunning           // counts
	turnOver              // begun, and no longer counts
)

// turns shares the units' attention among hosts. A host alone is not held up. Of
// several, each has its first command at once, and what is beyond the number of
// commands that may be under way waits, for the host that had least so far to be served
// first (start-time fair queueing).
type turns struct {
	most     int // cost that may be under way
	patience time.Duration
	memory   time.Duration

	mu       sync.Mutex
	running  int
	now      int64       // virtual time: the tag of what began last
	waiting  []*hostTurn // hosts with a queue
	under    commandList // what runs and counts, in the order in which it began
	draining bool
	armed    bool
	closed   bool

	// Who was here last, and when somebody else was.
	last            *hostTurn
	lastAt, otherAt time.Time
}

// hostTurn is a host, which may have many nexuses.
type hostTurn struct {
	users   int   // guarded by Server.mu
	running int   // cost under way
	finish  int64 // virtual time at which what it had is paid for
	queue   commandList
}

func newTurns() *turns {
	return &turns{most: turnsPerProcessor * max(runtime.GOMAXPROCS(0), 2), patience: turnPatience, memory: turnMemory}
}

// cost is what a command weighs.
func (c *Command) cost() int { return 1 + int(min(c.length, maxTransfer*512)/turnBytes) }

// take reports whether c may begin. If not, it is begun later.
func (t *turns) take(c *Command) bool {
	h := c.nexus.turn
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.turn != turnNone {
		return true // begun before, and begins again
	}
	if t.last != h {
		t.last, t.otherAt = h, t.lastAt
	}
	t.lastAt = c.Arrived
	alone := c.Arrived.Sub(t.otherAt) > t.memory
	if h.running == 0 || h.queue.first == nil && (alone || t.running < t.most) {
		t.begin(h, c)
		return true
	}
	c.turn = turnWaiting
	if h.queue.first == nil {
		t.waiting = append(t.waiting, h)
	}
	h.queue.push(c)
	if !t.armed && !t.closed {
		t.armed = true
		time.AfterFunc(t.patience, t.overdue)
	}
	return false
}

// begin counts a command as under way. Callers hold mu.
func (t *turns) begin(h *hostTurn, c *Command) {
	n := c.cost()
	c.weight = n
	t.now = max(t.now, h.finish)
	h.finish = t.now + int64(n)
	h.running += n
	t.running += n
	c.turn, c.began = turnRunning, time.Now()
	t.under.push(c)
}

// stop counts it off. Callers hold mu.
func (t *turns) stop(c *Command, s turnState) {
	c.nexus.turn.running -= c.weight
	t.running -= c.weight
	t.under.remove(c)
	c.turn = s
}

// next begins the command that is due, or returns nil. Callers hold mu.
func (t *turns) next() *Command {
	best := -1
	for i, h := range t.waiting {
		if best < 0 || h.finish < t.waiting[best].finish {
			best = i
		}
	}
	if best < 0 || t.running >= t.most && t.waiting[best].running > 0 {
		return nil
	}
	h := t.waiting[best]
	c := h.queue.first
	t.unqueue(h, c)
	t.begin(h, c)
	return c
}

// unqueue takes a waiting command out. Callers hold mu.
func (t *turns) unqueue(h *hostTurn, c *Command) {
	h.queue.remove(c)
	if h.queue.first != nil {
		return
	}
	for i, w := range t.waiting {
		if w == h {
			last := len(t.waiting) - 1
			t.waiting[i], t.waiting[last] = t.waiting[last], nil
			t.waiting = t.waiting[:last]
			return
		}
	}
}

// left says that a command has ended. It reports whether the caller has to drain.
func (t *turns) left(c *Command) bool {
	if c.desc == nil || !c.desc.turns {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.turn == turnRunning {
		t.stop(c, turnOver)
	}
	if t.draining || len(t.waiting) == 0 {
		return false
	}
	t.draining = true
	return true
}

// drain begins what may begin. One goroutine at a time does, so that a command that ends
// at once does not nest in the one before it.
func (t *turns) drain() {
	for range drainMost {
		t.mu.Lock()
		c := t.next()
		if c == nil {
			t.draining = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		c.proceed()
	}
	go t.drain() // whoever came by has work of his own
}

// withdraw takes a command back that waits. It reports whether it did.
func (t *turns) withdraw(c *Command) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.turn != turnWaiting {
		return false
	}
	t.unqueue(c.nexus.turn, c)
	c.turn = turnOver
	return true
}

// overdue stops counting what has been under way for too long.
func (t *turns) overdue() {
	t.mu.Lock()
	now := time.Now()
	for c := t.under.first; c != nil && now.Sub(c.began) >= t.patience; c = t.under.first {
		t.stop(c, turnOver)
	}
	t.armed = len(t.waiting) > 0 && !t.closed
	if t.armed {
		time.AfterFunc(t.patience, t.overdue)
	}
	if t.draining || len(t.waiting) == 0 {
		t.mu.Unlock()
		return
	}
	t.draining = true
	t.mu.Unlock()
	t.drain()
}

// commandList is a list of commands, each of which is in one list at most.
type commandList struct{ first, last *Command }

func (l *commandList) push(c *Command) {
	c.before, c.after = l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.after = c
	}
	l.last = c
}

func (l *commandList) remove(c *Command) {
	if c.before == nil {
		l.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		l.last = c.before
	} else {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
}
