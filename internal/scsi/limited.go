// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
)

// placeTime is what a command that waited for its limit still has to get its place: Late is
// for all waiting together.
const placeTime = 500 * time.Millisecond

// Limits says how much hosts may do to a volume.
type Limits interface {
	// Limited reports whether the volume has a limit: most have none, and pay nothing.
	Limited(v array.VolumeID) bool
	// Admit admits a command with so many bytes of data. It returns how long the command
	// is to wait first, and whom to tell, unless he is nil, how long it took after that;
	// false if it would have to wait for longer than most. It doesn't block.
	Admit(v array.VolumeID, now time.Time, bytes int64, most time.Duration) (wait time.Duration, ended func(time.Duration), ok bool)
}

// delays are the commands that wait for a limit.
type delays struct {
	limits Limits // nil: none
	mu     sync.Mutex
}

// delay is a command's wait. A command that ended, and whose memory serves another one, is
// not found by an old timer.
type delay struct {
	waiting bool // guarded by delays.mu
	timer   *time.Timer
}

// admitted reports whether the command may go on: it has a place under the limits of its
// volume. If not, it goes on later, or has ended.
func (c *Command) admitted() bool {
	d := &c.nexus.server.delays
	if d.limits == nil || c.counted {
		return true
	}
	volume := c.unit.Identity().Volume
	if !d.limits.Limited(volume) {
		return true
	}
	now := boottime.Now()
	most := max(0, Late-placeTime-now.Sub(c.Arrived))
	wait, ended, ok := d.limits.Admit(volume, now, c.bytes(), most)
	if !ok {
		c.end(c.tooMany())
		return false
	}
	c.counted, c.ended, c.freed = true, ended, now.Add(wait)
	if wait <= 0 {
		return true
	}
	w := &delay{waiting: true}
	d.mu.Lock()
	c.delay = w
	w.timer = time.AfterFunc(wait, func() {
		if d.over(w) {
			c.resume()
		}
	})
	d.mu.Unlock()
	if c.aborted.Load() && d.over(w) { // it was aborted before it could be found here
		c.end(abortedError())
	}
	return false
}

// over ends a wait, and reports whether it was this call that did.
func (d *delays) over(w *delay) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w == nil || !w.waiting {
		return false
	}
	w.waiting = false
	w.timer.Stop()
	return true
}

// withdraw takes a command back that waits. It reports whether it did.
func (d *delays) withdraw(c *Command) bool {
	if d.limits == nil {
		return false
	}
	d.mu.Lock()
	w := c.delay
	d.mu.Unlock()
	return d.over(w)
}

// resume goes on with a command that has waited.
func (c *Command) resume() {
	if err := c.stale(); err != nil {
		c.end(err)
		return
	}
	c.takeTurn()
}

// bytes is how much data the command moves.
func (c *Command) bytes() int64 {
	if c.want > 0 || c.desc.writes {
		return int64(c.want)
	}
	return c.length
}

// tooMany is the answer to a command that a limit leaves no time for: TASK SET FULL where
// the host has others under way, so that it gives fewer at a time, else BUSY (SAM-5 5.3.1).
func (c *Command) tooMany() error {
	if c.bound.tasks.several() {
		return taskSetFull{}
	}
	return array.Errorf(array.Busy, "the volume's limit leaves the command no time")
}

// several reports whether another command is under way.
func (t *taskSet) several() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running > 1
}
