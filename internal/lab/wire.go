// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Shape is how a wire treats what goes over it, in one direction.
type Shape struct {
	// Cut loses everything.
	Cut bool
	// Delay is how long a frame is under way.
	Delay time.Duration
	// Loss is the part of frames that is lost, 0 to 1. A frame may be a segment of
	// up to 64 KiB.
	Loss float64
	// Rate is the wire's speed in bytes per second, 0 for no limit.
	Rate int64
}

// maxInFlight bounds the frames under way on a wire, in bytes; more are lost, as
// in a full switch.
const maxInFlight = 32 << 20

// A wire leads from one port to another, in one direction.
type wire struct {
	to *port

	mu        sync.Mutex
	wake      sync.Cond
	shape     Shape
	rng       *rand.Rand
	queue     []flight
	bytes     int
	busyUntil time.Time // when the last frame is through at Rate
	started   bool      // the goroutine that delivers late frames runs
	closed    bool
	delivered uint64
	dropped   uint64
}

type flight struct {
	due   time.Time
	frame []byte
}

func newWire(to *port) *wire {
	w := &wire{to: to, rng: rand.New(rand.NewPCG(1, 2))}
	w.wake.L = &w.mu
	return w
}

// send carries a frame, or loses it. The frame's memory is the caller's again.
func (w *wire) send(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.shape
	switch {
	case s.Cut || w.closed || s.Loss > 0 && w.rng.Float64() < s.Loss || w.bytes+len(frame) > maxInFlight:
		w.dropped++
		return
	case s.Delay == 0 && s.Rate == 0 && len(w.queue) == 0:
		w.deliver(frame)
		return
	}
	now := time.Now()
	due := now.Add(s.Delay)
	if s.Rate > 0 {
		if w.busyUntil.Before(now) {
			w.busyUntil = now
		}
		w.busyUntil = w.busyUntil.Add(time.Duration(float64(len(frame)) / float64(s.Rate) * float64(time.Second)))
		due = w.busyUntil.Add(s.Delay)
	}
	if n := len(w.queue); n > 0 && due.Before(w.queue[n-1].due) {
		due = w.queue[n-1].due // a shape that became shorter overtakes nothing
	}
	w.queue = append(w.queue, flight{due, append([]byte(nil), frame...)})
	w.bytes += len(frame)
	if !w.started {
		w.started = true
		go w.fly()
	}
	w.wake.Signal()
}

// deliver hands a frame to the node. Callers hold mu.
func (w *wire) deliver(frame []byte) {
	if _, err := w.to.frames.Write(frame); err != nil {
		w.dropped++ // the device is off
		return
	}
	w.delivered++
}

// fly delivers what is under way when it is due.
func (w *wire) fly() {
	// A thread of its own that sleeps by itself: the runtime's timers are good for a
	// millisecond, this is good for some ten microseconds.
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 && !w.closed {
			w.wake.Wait()
		}
		if w.closed {
			return
		}
		if left := time.Until(w.queue[0].due); left > 0 {
			w.mu.Unlock()
			nap := unix.NsecToTimespec(int64(min(left, 10*time.Millisecond)))
			_ = unix.Nanosleep(&nap, nil)
			w.mu.Lock()
			continue
		}
		f := w.queue[0]
		w.queue[0] = flight{}
		w.queue = w.queue[1:]
		w.bytes -= len(f.frame)
		if w.shape.Cut {
			w.dropped++
			continue
		}
		w.deliver(f.frame)
	}
}

func (w *wire) set(change func(*Shape)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.shape)
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.queue = nil
	w.wake.Broadcast()
}
