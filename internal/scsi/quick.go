// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"time"

	"github.com/perdure/perdure/internal/boottime"
)

// QuickReader is a unit that may have data at hand.
type QuickReader interface {
	// ReadNow is Read where nothing has to be waited for and nothing is in the way; else it
	// reports false. It does the same checks, keeps nothing and calls nobody.
	ReadNow(off int64, dst []byte) bool
}

// Quick carries a READ out if that takes no more than to copy what is at hand, and reports
// whether it did: the command has its status and its data then, Done is not called, and c
// may be used for another one at once. Where anything is in the way it reports false and
// has changed nothing, and the command goes through Prepare as any other.
//
// Such a command is never under way where somebody else could see it: no order, turn or
// limit has to know of it, as long as nobody waits there.
func (n *Nexus) Quick(c *Command) bool {
	desc := n.server.table.find(&c.CDB)
	number, valid := DecodeLUN(c.LUN)
	if desc == nil || !desc.quickly || !valid || c.Ordered || c.CDB[desc.length-1]&0x04 != 0 {
		return false
	}
	n.mu.RLock()
	b := n.bindings[number]
	n.mu.RUnlock()
	if b == nil || b.pending.Load() > 0 || !b.tasks.idle() {
		return false
	}
	unit, ok := b.lu.unit.(QuickReader)
	if !ok {
		return false
	}
	c.nexus, c.bound, c.unit, c.desc, c.resets = n, b, b.lu.unit, desc, b.lu.resets.Load()
	if pathError(c.unit.Paths(n.Initiator).at(n.port).State, desc.when) != nil || desc.decode(c) != nil || c.length == 0 {
		return false
	}
	now := boottime.Now()
	if ok, _ := c.allowed(c.unit.Reservations()); !ok || now.Sub(c.Arrived) >= Late {
		return false
	}
	if !n.server.turns.unneeded(c) || c.buffer(int(c.length)) != nil {
		return false
	}
	if !unit.ReadNow(c.off, c.In) || b.lu.resets.Load() != c.resets || !c.unlimited(now) {
		c.dropIn()
		return false
	}
	c.Status = Good
	return true
}

// idle reports whether no command of the set waits for another one.
func (t *taskSet) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) == 0 && !t.barrier
}

// unneeded reports whether a command's host is alone, so that a command may begin and end
// without a turn. It remembers that the host was here.
func (t *turns) unneeded(c *Command) bool {
	h := c.nexus.turn
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != h {
		t.last, t.otherAt = h, t.lastAt
	}
	t.lastAt = c.Arrived
	return h.queue.first == nil && c.Arrived.Sub(t.otherAt) > t.memory
}

// unlimited counts a command that was carried out under the limits of its volume, and
// reports whether it may have been.
func (c *Command) unlimited(now time.Time) bool {
	d := &c.nexus.server.delays
	if d.limits == nil {
		return true
	}
	_, ended, ok := d.limits.Admit(c.unit.Identity().Volume, now, c.bytes(), 0)
	if ok && ended != nil {
		ended(0)
	}
	return ok
}

// Clear makes c as new, to be used for Quick again. What it had is the caller's.
func (c *Command) Clear() {
	c.Out, c.In, c.InBuffer, c.Sense = nil, nil, nil, nil
	c.Status, c.Moves = Good, 0
	c.off, c.length, c.want = 0, 0, 0
	c.nexus, c.bound, c.unit, c.desc = nil, nil, nil, nil
}
