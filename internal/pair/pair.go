// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/witness"
)

// Timing is how long things may take.
type Timing struct {
	// Beat is between two requests for a lease.
	Beat time.Duration
	// Lease is how long one lasts.
	Lease time.Duration
	// Detect is how long a lease may stay without renewal before the other array
	// counts as silent.
	Detect time.Duration
	// Stuck is the age of a journal write at which an array gives its lease up.
	Stuck time.Duration
}

// DefaultTiming suits one data centre or two within ten milliseconds.
func DefaultTiming() Timing {
	return Timing{Beat: 80 * time.Millisecond, Lease: 900 * time.Millisecond, Detect: 550 * time.Millisecond, Stuck: 3 * time.Second}
}

// margin is what the granter adds to a lease for clocks that drift.
func (t Timing) margin() time.Duration { return t.Lease/50 + 10*time.Millisecond }

// Group is what the pair needs of a group.
type Group interface {
	Contact()
	Lost()
	Silent()
	Stuck(bool)
	PeerStuck()
	PeerRestarted()
	// Wake: a period of grants began, of which the other array's half is to hear.
	Wake()
	Doubted(bool) error
	Receive(group.Packet)
	witnessUser
}

// Config is what a Pair is made of.
type Config struct {
	Link    link.Config // Handler is set by Open
	Timing  Timing
	Witness *witness.Client // at first; nil: none
	// Owners are the two keys that own the witness's registers.
	Owners witness.Owners
	Pool   *block.Pool
	Logger *slog.Logger
	Event  func(string)
	// Alarm is told what a person should look at; nil: Event is.
	Alarm func(string)
	// Lasts is told when a condition begins or ends; nil: Alarm and Event are.
	Lasts func(c Condition, lasts bool, text string)
	// Oldest returns the age of the oldest unfinished journal write.
	Oldest func() time.Duration
	// RaiseStarts makes durable that at least so many starts of this array are known.
	RaiseStarts func(count uint64) error
	// Call answers a management request of the other array.
	Call func(body []byte) []byte
	// StandsIn reports whether this array has the other's portal addresses; nil: never.
	StandsIn func() bool
}

// Condition is what may last for long, and people look at until it ends.
type Condition string

// The conditions.
const (
	Silence     Condition = "silence"
	Stuck       Condition = "journal"
	WitnessLost Condition = "witness"
)

// Pair is the relation to the other array.
type Pair struct {
	cfg  Config
	peer *link.Peer
	stop context.CancelFunc
	wg   sync.WaitGroup

	clock *Clock
	lease Leases
	w     witnessState

	// telling is held from before it is known how things stand until the groups know: what
	// they hear last is how it is.
	telling sync.Mutex
	quiet   quiet // under telling

	mu         sync.Mutex
	groups     map[array.GroupID]Group
	up         int // control connections
	silent     bool
	stuck      bool
	toldSilent bool
	system     link.Self
	// asker and askedAt are the newest process and request for a lease seen.
	asker   array.StartID
	askedAt int64
	// peerStandsIn is the mark of the newest grant, which answers the request of grantSent.
	peerStandsIn bool
	grantSent    int64
	calls        *link.Calls
	began        atomic.Uint64 // the newest period of grants that the groups were woken for
	early        chan struct{} // makes the next beat come at once: there is a new way to ask on
	beats        beats
	probes       probes
}

// Open prepares the relation; Start begins it.
func Open(cfg Config) (*Pair, error) {
	p := &Pair{cfg: cfg, stop: func() {}, clock: NewClock(), groups: map[array.GroupID]Group{}, silent: true, early: make(chan struct{}, 1)}
	cfg.Link.Handler = handler{p}
	cfg.Link.Pool = cfg.Pool
	peer, err := link.Open(cfg.Link)
	if err != nil {
		return nil, err
	}
	p.peer = peer
	p.calls = link.NewCalls(peer, link.Control(), frameCall, frameReply, cfg.Call, cfg.Logger)
	p.w.init(cfg.Witness)
	return p, nil
}

// Start begins the relation, when every group that this array has was added: from now
// on the other array gets leases, and does not find this one silent. Connections that
// it makes come through the server that Peer is added to.
func (p *Pair) Start() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.w.turning.Lock()
	defer p.w.turning.Unlock()
	p.w.ctx = ctx
	p.lease.Start(p.clock.Now(), p.cfg.Timing)
	p.peer.Start()
	p.wg.Go(func() { p.beat(ctx) })
	p.watch()
}

// Ask sends a management request to the other array and waits for the answer.
func (p *Pair) Ask(ctx context.Context, body []byte) ([]byte, error) { return p.calls.Ask(ctx, body) }

// Peer returns the link, for the server and for status.
func (p *Pair) Peer() *link.Peer { return p.peer }

// Key returns the other array's key.
func (p *Pair) Key() pki.Pin { return p.peer.Key() }

// Close ends the relation.
func (p *Pair) Close() {
	p.w.turning.Lock() // nobody watches anew after this
	p.stop()
	p.w.turning.Unlock()
	p.peer.Close()
	p.calls.Close()
	p.wg.Wait()
}

// Add makes a group's packets arrive. The group's Peer is Way(id).
func (p *Pair) Add(id array.GroupID, g Group) {
	p.mu.Lock()
	p.groups[id] = g
	up := p.answers()
	silent := p.silent && p.toldSilent
	p.mu.Unlock()
	switch {
	case up:
		g.Contact()
	case silent:
		g.Silent()
	}
	if known, restored := p.w.start(); known {
		_ = g.Doubted(restored)
	}
	p.readWitness(id)
}

// Remove forgets a group.
func (p *Pair) Remove(id array.GroupID) {
	p.mu.Lock()
	delete(p.groups, id)
	p.mu.Unlock()
}

func (p *Pair) each(f func(Group)) {
	p.mu.Lock()
	gs := make([]Group, 0, len(p.groups))
	for _, g := range p.groups {
		gs = append(gs, g)
	}
	p.mu.Unlock()
	for _, g := range gs {
		f(g)
	}
}

func (p *Pair) group(id array.GroupID) Group {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.groups[id]
}

// System returns what the other array said of itself last.
func (p *Pair) System() link.Self {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.system
}

// Reachable reports whether the other array answers now.
func (p *Pair) Reachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers()
}

// answers reports, with mu held, whether the other array answers for itself, whatever its
// groups do.
func (p *Pair) answers() bool { return p.up > 0 && !p.silent }

func (p *Pair) alarm(s string) {
	if p.cfg.Alarm == nil {
		p.event(s)
		return
	}
	p.cfg.Logger.Warn(s)
	p.cfg.Alarm(s)
}

func (p *Pair) lasts(c Condition, lasts bool, s string) {
	switch {
	case p.cfg.Lasts != nil:
		p.cfg.Logger.Info(s)
		p.cfg.Lasts(c, lasts, s)
	case lasts:
		p.alarm(s)
	default:
		p.event(s)
	}
}

// IsStuck reports whether this array's journal is stuck.
func (p *Pair) IsStuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck
}

func (p *Pair) event(s string) {
	p.cfg.Logger.Info(s)
	if p.cfg.Event != nil {
		p.cfg.Event(s)
	}
}
