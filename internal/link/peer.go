// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/pki"
)

// A Handler takes what arrives. Frame may block for as long as the connection's
// next frames may wait; the peer sees it as an unread connection.
type Handler interface {
	// Up says that c carries frames from now on, in both directions.
	Up(c *Conn)
	// Frame takes the next frame of c. Its payload is valid until Frame returns; to
	// keep it, Retain f.Buf.
	Frame(c *Conn, f Frame)
	// Down says that c ended. Frames sent on it may be lost.
	Down(c *Conn, err error)
}

// A LinkConfig is one of a relation's links. Both sides give it the same name.
type LinkConfig struct {
	Name string
	// Remote is the other array's host:port on this link. The side that connects
	// needs it.
	Remote string
	// Local is the address to connect from, empty for the system's choice.
	Local string
}

// Config is what a Peer needs.
type Config struct {
	Self     Self
	Identity *pki.Identity
	// Key pins the other array's key. System is its id, 0 to learn it.
	Key    pki.Pin
	System array.SystemID
	Links  []LinkConfig
	// Data is the number of data connections per link, 0 means 2.
	Data    int
	Pool    *block.Pool // for payloads of data frames
	Handler Handler
	Limits  Limits
}

// Limits bound a peer's memory and patience. A zero field means its default.
type Limits struct {
	QueueFrames int           // per connection: 16384
	QueueBytes  int64         // per connection: 32 MiB
	Write       time.Duration // a connection that takes nothing for so long is broken: 3 s
	Ping        time.Duration // between pings: 250 ms
	Idle        time.Duration // a data connection that has nothing to carry is pinged so often: 5 s
	Silence     time.Duration // a ping unanswered for so long breaks the link: 3 s
	Stuck       time.Duration // the same while another link answers: 600 ms
	Dial        time.Duration // for TCP's part of connecting: 1 s, since the kernel repeats its question ever more rarely
	Connect     time.Duration // for connecting, TLS and greeting: 5 s
	Retry       time.Duration // between attempts, at most: 1 s
}

func (l *Limits) fill() {
	l.QueueFrames = cmp.Or(l.QueueFrames, 16384)
	l.QueueBytes = cmp.Or(l.QueueBytes, 32<<20)
	l.Write = cmp.Or(l.Write, 3*time.Second)
	l.Ping = cmp.Or(l.Ping, 250*time.Millisecond)
	l.Idle = cmp.Or(l.Idle, 5*time.Second)
	l.Silence = cmp.Or(l.Silence, 3*time.Second)
	l.Stuck = cmp.Or(l.Stuck, 600*time.Millisecond)
	l.Dial = cmp.Or(l.Dial, time.Second)
	l.Connect = cmp.Or(l.Connect, 5*time.Second)
	l.Retry = cmp.Or(l.Retry, time.Second)
}

const maxLinks = 8

func (c *Config) check() error {
	if c.Self.System == 0 || len(c.Self.Name) > maxName {
		return array.Errorf(array.Invalid, "open relation: system id %d, name %q", c.Self.System, c.Self.Name)
	}
	if c.Key.IsZero() || c.Key == c.Identity.Pin() {
		return array.Errorf(array.Invalid, "open relation: the other array needs a key of its own, %v is not one", c.Key)
	}
	if c.System == c.Self.System {
		return array.Errorf(array.Invalid, "open relation: both arrays have the system id %v", c.System)
	}
	if len(c.Links) == 0 || len(c.Links) > maxLinks || c.Data < 0 || c.Data > MaxData {
		return array.Errorf(array.Invalid, "open relation: %d links (1 to %d), %d data connections on each (1 to %d)",
			len(c.Links), maxLinks, c.Data, MaxData)
	}
	seen := map[string]bool{}
	for _, l := range c.Links {
		if seen[l.Name] {
			return array.Errorf(array.Invalid, "open relation: link %q is there twice", l.Name)
		}
		seen[l.Name] = true
		if err := c.checkLink(l); err != nil {
			return fmt.Errorf("open relation: %w", err)
		}
	}
	return nil
}

// connects reports whether this side is the one that connects: both know it
// without asking.
func (c *Config) connects() bool {
	own := c.Identity.Pin()
	return bytes.Compare(own[:], c.Key[:]) < 0
}

// A Peer is the other array of a relation.
type Peer struct {
	cfg     Config
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	started time.Time
	small   *block.Pool                  // for payloads of control frames
	links   atomic.Pointer[[]*linkState] // replaced under mu, never changed
	lanes   [laneCount]lane
	// answered wakes the slots that wait between two attempts when one has got through: what
	// kept them all away is over.
	answered news
	routes   atomic.Pointer[routes]

	mu         sync.Mutex
	closed     bool
	running    bool
	generation uint64
	slots      map[slotKey]*Conn // the connection in each slot, until its Down is over
	up         []*Conn           // between Up and Down
}

type slotKey struct {
	link string
	slot int
}

// Open prepares a relation; Start begins it. Which side connects and which waits for
// connections from a Server follows from the system ids.
func Open(cfg Config) (*Peer, error) {
	cfg.Data = cmp.Or(cfg.Data, 2)
	cfg.Limits.fill()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Peer{cfg: cfg, started: time.Now(), small: block.NewPool(8 << 20), slots: map[slotKey]*Conn{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.routes.Store(&routes{})
	var links []*linkState
	for _, l := range cfg.Links {
		links = append(links, p.newLink(l))
	}
	p.links.Store(&links)
	return p, nil
}

// Start begins to connect, if that is this side's part, and to watch the connections.
func (p *Peer) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	p.wg.Go(p.monitor)
	for _, l := range *p.links.Load() {
		p.useLink(l)
	}
}

// Close ends all connections and returns when the last Down is over. It must not
// be called by the handler.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.slots {
		c.close(ErrClosed)
	}
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// Key returns the pinned key of the other array.
func (p *Peer) Key() pki.Pin { return p.cfg.Key }

// clock returns the time since the peer was opened, never 0.
func (p *Peer) clock() int64 { return int64(time.Since(p.started)) + 1 }

func (p *Peer) linkNamed(name string) *linkState {
	for _, l := range *p.links.Load() {
		if l.cfg.Name == name {
			return l
		}
	}
	return nil
}

// carry runs a connection that both sides have greeted, in place of an older one
// in its slot. It returns when the connection is over, with the cause.
func (p *Peer) carry(c *Conn) error {
	key := slotKey{c.Link, c.Slot}
	for {
		p.mu.Lock()
		if p.closed || c.link.ctx.Err() != nil {
			p.mu.Unlock()
			c.close(ErrClosed)
			return ErrClosed
		}
		old := p.slots[key]
		if old == nil {
			p.generation++
			c.Generation = p.generation
			p.slots[key] = c
			p.mu.Unlock()
			break
		}
		p.mu.Unlock()
		old.close(ErrReplaced)
		<-old.done
	}
	c.run()
	return context.Cause(c.ctx)
}

// joined and left keep the list of connections that frames may be sent on.
func (p *Peer) joined(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = append(p.up, c)
	p.reroute()
}

func (p *Peer) left(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, u := range p.up {
		if u == c {
			p.up = append(p.up[:i:i], p.up[i+1:]...)
			break
		}
	}
	p.reroute()
}

// ended frees the slot of a connection after its Down.
func (p *Peer) ended(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := (slotKey{c.Link, c.Slot}); p.slots[key] == c {
		delete(p.slots, key)
	}
}

// monitor pings, and breaks what does not answer.
func (p *Peer) monitor() {
	tick := time.NewTicker(p.cfg.Limits.Ping)
	defer tick.Stop()
	last := p.clock()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		now := p.clock()
		// If this process itself stood still, answers may wait in the sockets: give
		// them another round.
		late := time.Duration(now-last) > p.cfg.Limits.Ping+p.cfg.Limits.Silence/2
		last = now
		p.mu.Lock()
		up := append([]*Conn(nil), p.up...)
		p.reroute() // round trips change which links are worth using
		p.mu.Unlock()
		for _, c := range up {
			limit := p.cfg.Limits.Silence
			if c.Control() && p.answers(up, c.Link, now) {
				limit = p.cfg.Limits.Stuck // the other array is there: it is this link that isn't
			}
			if sent := c.pinged.Load(); sent != 0 && !late && time.Duration(now-sent) > limit {
				p.silent(c, up, limit)
			}
			if c.Control() || c.confirmed.Load() < c.queue.sent() || time.Duration(now-c.answered.Load()) > p.cfg.Limits.Idle {
				c.ping()
			}
		}
	}
}

// answers reports whether a link other than the named one answered its last ping, or
// still has time to.
func (p *Peer) answers(up []*Conn, link string, now int64) bool {
	for _, c := range up {
		if !c.Control() || c.Link == link || c.link.rtt() == 0 {
			continue
		}
		if sent := c.pinged.Load(); sent == 0 || time.Duration(now-sent) < p.cfg.Limits.Ping+p.cfg.Limits.Ping/2 {
			return true
		}
	}
	return false
}

// silent breaks a connection whose ping went unanswered; with a control
// connection its whole link, whose data connections may have nothing in flight
// that would show it.
func (p *Peer) silent(c *Conn, up []*Conn, limit time.Duration) {
	for _, other := range up {
		if other == c || c.Control() && other.Link == c.Link {
			other.close(fmt.Errorf("%w for %v on link %s", ErrSilent, limit, c.Link))
		}
	}
}

// errGone says that a Peer was closed while it connected.
var errGone = errors.New("closed while connecting")
