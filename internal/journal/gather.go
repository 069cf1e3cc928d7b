// SPDX-License-Identifier: Apache-2.0

package journal

import "time"

// Hosts that a flush answered come with their next commands a moment later. A flush that
// began with the first of them would leave the others to the one after it, and so on: of
// the commands outstanding half would wait at any time, and the disk would flush twice as
// often as it must. So after a flush of many records the next waits for as many, for a
// small part of what a flush takes, and not at all where that was in vain before.

const (
	// gatherLeast is how many records make a flush after which the next one waits.
	gatherLeast = 4
	// gatherMost bounds the wait, gatherPart says which part of a flush it may take.
	gatherMost = 300 * time.Microsecond
	gatherPart = 3
	// futileMost is after how many waits in vain in a row none is made for restFor flushes.
	futileMost = 8
	restFor    = 64
)

// gather is what the committer knows of when the next records come. j.mu guards it.
type gather struct {
	want   int       // how long the queue becomes if all come that were answered
	from   int       // how long it was when they were
	until  time.Time // when the wait is over; zero if there is none
	took   time.Duration
	futile int
	rest   int
	timer  *time.Timer
	waits  bool // the committer waits, and the timer runs
}

// flushed notes a flush of n records that took so long, with queued ones left.
func (g *gather) flushed(n, queued int, took time.Duration, now time.Time) {
	g.took += (took - g.took) / 8
	g.until = time.Time{}
	if g.rest > 0 {
		g.rest--
		return
	}
	if n >= gatherLeast {
		g.want, g.from, g.until = queued+n, queued, now.Add(min(gatherMost, g.took/gatherPart))
	}
}

// left returns how long the next flush should still wait.
func (g *gather) left(queued int, now time.Time) time.Duration {
	if g.until.IsZero() {
		return 0
	}
	if d := g.until.Sub(now); d > 0 && queued < g.want {
		return d
	}
	// Who came makes up for the wait if they are a good part of those that were answered.
	if came := queued - g.from; 4*came >= g.want-g.from {
		g.futile = 0
	} else if g.futile++; g.futile >= futileMost {
		g.futile, g.rest = 0, restFor
	}
	g.until = time.Time{}
	return 0
}

// gathers waits if the next flush should, and reports whether it did. The caller holds
// j.mu, which is released meanwhile.
func (j *Journal) gathers() bool {
	if j.closing {
		return false
	}
	d := j.gather.left(len(j.queue), time.Now())
	if d <= 0 {
		return false
	}
	if j.gather.timer == nil {
		j.gather.timer = time.AfterFunc(d, j.wakeUp)
	} else {
		j.gather.timer.Reset(d)
	}
	j.gather.waits = true
	j.wake.Wait()
	j.gather.waits = false
	return true
}

func (j *Journal) wakeUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wake.Broadcast()
}
