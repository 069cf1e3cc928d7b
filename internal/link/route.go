// SPDX-License-Identifier: Apache-2.0

package link

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"
)

// A Class says on which connection a frame goes.
type Class struct {
	kind classKind
	key  uint64
	link string
}

type classKind uint8

const (
	control classKind = iota
	controlOn
	data
	dataOn
)

// Control is for small urgent frames: the best link's control connection.
func Control() Class { return Class{kind: control} }

// ControlOn is for the control connection of one link.
func ControlOn(link string) Class { return Class{kind: controlOn, link: link} }

// Data is for frames whose order matters among those with the same key only.
func Data(key uint64) Class { return Class{kind: data, key: key} }

// DataOn is for a data connection of one link, whatever it is worth: frames there are in no
// order with others.
func DataOn(link string) Class { return Class{kind: dataOn, link: link} }

// laneCount is the number of lanes onto which the keys of data frames fall.
const laneCount = 256

// A lane holds the keys of one hash value on one connection.
type lane struct {
	mu    sync.Mutex
	conn  *Conn
	last  uint64  // number of the last frame that the lane put on conn
	since *routes // the routes under which conn was chosen
}

// routes is an immutable choice of connections.
type routes struct {
	control []*Conn // best first
	data    []*Conn // those worth using, in a fixed order
}

// Send queues a frame for the other array. It never waits for the network:
// ErrDown says that there is no connection, ErrFull that its queue has no room. In
// both cases the frame was not taken. A payload without Buf must not change any
// more; one with Buf is retained until it is written or lost.
func (p *Peer) Send(f Frame, class Class) error {
	if err := f.check(); err != nil {
		return err
	}
	if class.kind == data {
		return p.lanes[laneOf(class.key)].send(p, f, laneOf(class.key))
	}
	if class.kind == dataOn {
		return p.sendOn(f, class.link)
	}
	err := error(ErrDown)
	for _, c := range p.routes.Load().control {
		if class.kind == controlOn && c.Link != class.link {
			continue
		}
		if _, err = c.send(f); !errors.Is(err, ErrDown) {
			return err
		}
	}
	return err
}

// sendOn sends on the first data connection of a link.
func (p *Peer) sendOn(f Frame, link string) error {
	p.mu.Lock()
	i := slices.IndexFunc(p.up, func(c *Conn) bool { return c.Link == link && !c.Control() })
	if i < 0 {
		p.mu.Unlock()
		return ErrDown
	}
	c := p.up[i]
	p.mu.Unlock()
	_, err := c.send(f)
	return err
}

// send keeps the lane's connection for as long as it lasts. It moves to a better
// one only when the other side has handled everything that the lane sent, which
// keeps the order.
func (l *lane) send(p *Peer, f Frame, index int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := p.routes.Load()
	if l.conn != nil && l.since != r {
		switch best := r.choose(index); {
		case best == l.conn:
			l.since = r
		case l.conn.confirmed.Load() >= l.last || l.conn.ctx.Err() != nil:
			l.conn, l.last, l.since = best, 0, r
		}
	}
	if l.conn == nil {
		l.conn, l.last, l.since = r.choose(index), 0, r
	}
	for range len(r.data) + 1 {
		if l.conn == nil {
			return ErrDown
		}
		seq, err := l.conn.send(f)
		if err == nil {
			l.last = seq
			return nil
		}
		if l.conn.ctx.Err() == nil {
			return err
		}
		l.conn, l.last = r.chooseUp(index), 0
	}
	return ErrDown
}

// choose returns the lane's connection by the number of connections: the lanes
// spread evenly.
func (r *routes) choose(index int) *Conn {
	if len(r.data) == 0 {
		return nil
	}
	return r.data[index%len(r.data)]
}

// chooseUp is choose among those that have not ended since the routes were made.
func (r *routes) chooseUp(index int) *Conn {
	for i := range r.data {
		if c := r.choose(index + i); c.ctx.Err() == nil {
			return c
		}
	}
	return nil
}

func laneOf(key uint64) int { return int(key * 0x9E3779B97F4A7C15 >> 56) }

// reroute makes new routes if the connections or their worth changed. Callers
// hold mu.
func (p *Peer) reroute() {
	next := &routes{}
	best := time.Duration(0)
	for _, c := range p.up {
		if rtt := c.link.rtt(); rtt > 0 && (best == 0 || rtt < best) {
			best = rtt
		}
	}
	for _, c := range p.up {
		switch {
		case c.Control():
			next.control = append(next.control, c)
		case c.link.worth(best):
			next.data = append(next.data, c)
		}
	}
	slices.SortFunc(next.control, func(a, b *Conn) int {
		return cmp.Or(cmp.Compare(rank(a, best), rank(b, best)), cmp.Compare(a.Link, b.Link))
	})
	slices.SortFunc(next.data, func(a, b *Conn) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Link, b.Link))
	})
	if old := p.routes.Load(); !slices.Equal(old.control, next.control) || !slices.Equal(old.data, next.data) {
		p.routes.Store(next)
	}
}

func rank(c *Conn, best time.Duration) int {
	if c.link.worth(best) {
		return 0
	}
	return 1
}
