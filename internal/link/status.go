// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Connects reports whether this side is the one that connects, the other one listens.
func (p *Peer) Connects() bool { return p.cfg.connects() }

// linkState is what is known of a link beyond its connections.
type linkState struct {
	// ctx ends when the link is dismissed.
	ctx                                          context.Context
	cancel                                       context.CancelFunc
	cfg                                          LinkConfig
	sentFrames, sentBytes, recvFrames, recvBytes atomic.Uint64

	mu        sync.Mutex
	smooth    time.Duration // 0 until measured
	last, min time.Duration
	slow      bool // see worth
	connects  uint64
	err       error
	errAt     time.Time
}

// measured takes the time of a ping's way there and back.
func (l *linkState) measured(rtt time.Duration) {
	rtt = max(rtt, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = rtt
	if l.smooth == 0 {
		l.smooth, l.min = rtt, rtt
		return
	}
	l.smooth += (rtt - l.smooth) / 8 // RFC 6298's gain
	l.min = min(l.min, rtt)
}

func (l *linkState) rtt() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.smooth
}

// worth reports whether the link is worth data beside one with the best round
// trip: a key on a much slower link would make its writes wait. Once slow, it must
// become clearly better, so that the routes don't flap.
func (l *linkState) worth(best time.Duration) bool {
	const slack = time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.smooth == 0 || best == 0 || l.smooth <= best+best/2+slack:
		l.slow = false
	case l.smooth > 3*best+2*slack:
		l.slow = true
	}
	return !l.slow
}

// forget drops the measurements of a connection that ended: the next one may go
// another way.
func (l *linkState) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.smooth, l.last, l.min, l.slow = 0, 0, 0, false
}

func (l *linkState) connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connects++
	l.err = nil
}

func (l *linkState) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.errAt = err, time.Now()
}

// ConnStatus is one connection in a Status.
type ConnStatus struct {
	Slot         int
	Generation   uint64
	Peer         Self
	QueuedFrames int
	QueuedBytes  int64
}

// A Status is what there is to know of a link.
type Status struct {
	Name string
	// Up says that the control connection is there.
	Up    bool
	Conns []ConnStatus
	// RTT is smoothed over some pings, Last and Min are the last and the shortest;
	// 0 if not measured since the link came up.
	RTT, Last, Min                               time.Duration
	SentFrames, SentBytes, RecvFrames, RecvBytes uint64
	// Connects counts connections that were made, of all slots.
	Connects uint64
	// Err is why the last connection ended or could not be made, nil once there is
	// a newer one.
	Err   error
	ErrAt time.Time
}

// Status returns the state of every link, in the order of Config.
func (p *Peer) Status() []Status {
	p.mu.Lock()
	up := append([]*Conn(nil), p.up...)
	p.mu.Unlock()
	links := *p.links.Load()
	out := make([]Status, len(links))
	for i, l := range links {
		l.mu.Lock()
		out[i] = Status{
			Name: l.cfg.Name, RTT: l.smooth, Last: l.last, Min: l.min, Connects: l.connects, Err: l.err, ErrAt: l.errAt,
			SentFrames: l.sentFrames.Load(), SentBytes: l.sentBytes.Load(),
			RecvFrames: l.recvFrames.Load(), RecvBytes: l.recvBytes.Load(),
		}
		l.mu.Unlock()
		for _, c := range up {
			if c.link != l {
				continue
			}
			frames, bytes := c.queue.size()
			out[i].Conns = append(out[i].Conns, ConnStatus{c.Slot, c.Generation, c.Peer, frames, bytes})
			out[i].Up = out[i].Up || c.Control()
		}
		slices.SortFunc(out[i].Conns, func(a, b ConnStatus) int { return a.Slot - b.Slot })
	}
	return out
}
