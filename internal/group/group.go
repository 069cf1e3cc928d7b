// SPDX-License-Identifier: Apache-2.0

package group

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/replication"
)

// maxDecisions bounds the account kept for explain.
const maxDecisions = 64

// Config is what a group is made of.
type Config struct {
	ID   array.GroupID
	Name string
	// Volume is the name of the volume that is all there is of the group, for people: they
	// know nothing of a group of an un-mirrored volume. Empty: they know the group.
	Volume string
	Self   array.Side
	// Arrays are the names of the arrays for people, by side.
	Arrays [2]string
	// Ports are the relative target port ids of each side's array.
	Ports [2][]uint16

	Policy Policy
	// Gone are volumes that were taken out; what the log still says of them is skipped.
	Gone []array.VolumeID
	// Stopped: the other array is not taken back in until SetStopped(false).
	Stopped bool

	Log   Log
	Space Space
	Pages Pages
	Copy  Copier
	// Points and Shadow are for periodic groups; nil: it can't be one.
	Points  Points
	Shadow  Shadow
	Buffers *block.Pool
	// Doubted: it isn't known yet whether the disk is of the past; Doubted tells.
	Doubted bool
	// Peer is nil for a group that lives on one array.
	Peer   Peer
	Keep   Keep
	Logger *slog.Logger
	// Event is told what people should know.
	Event func(text string)
	// Alarm is told what a person should look at; nil: Event is.
	Alarm func(text string)
	// Unrepaired is told why a page stays damaged, or, with an empty text, that one is as it
	// was written; nil: Alarm is. It must not wait.
	Unrepaired func(v array.VolumeID, page int64, text string)
	// Hasty lets reads overtake what is in flight over their range: a mutant for tests.
	Hasty bool
	// Blurred sends pages as they are now instead of as of the point: a mutant for tests.
	Blurred bool
	// Now is boottime.Now.
	Now func() time.Time
	// Clock is the time of day, for people; nil: time.Now.
	Clock func() time.Time
	// Moved is told that this array became, or is no longer, a member of a periodic group. It
	// must not wait.
	Moved func()
}

// Group is one group on one array.
type Group struct {
	cfg Config
	// label is what people know the group as.
	label atomic.Pointer[string]
	gate  atomic.Pointer[gate]
	// seen is the register that the core saw last, of the loop; rested is that while the
	// group waits for nothing.
	seen   *registerSeen
	rested atomic.Pointer[registerSeen]
	whole  atomic.Bool
	// hosts are the proximities of initiators, by node name.
	hosts atomic.Pointer[map[string]Proximity]
	// out: this array is not a member.
	out atomic.Bool

	in   inbox
	wake chan struct{}
	done chan struct{}

	// All below belongs to the loop.
	m    arb.Machine
	core *replication.Core
	view arb.View

	units   map[array.VolumeID]*Unit
	gone    map[array.VolumeID]bool
	goneIn  []array.VolumeID // those of gone, the oldest first
	started bool

	// Records by place: what is not applied yet and still in memory.
	tail []*entry
	// holding is the volume whose commands wait, nil for none.
	holding *holding
	// retiring is closed, and retired set, when nothing of the tail is left; until then
	// nothing more gets a place.
	retiring  chan struct{}
	retired   bool
	tailHome  []*entry // the whole memory of tail, which is empty where tail has begun anew
	spares    []*entry // empty ones
	tailBytes int64
	applied   array.Place
	released  array.Place
	appends   []journal.Record
	sends     []Packet
	held      array.Place // last acknowledged to the other
	told      array.Place // last commit told to the other

	waiting []*work           // host commands without a place
	calls   map[[8]byte]*call // forwarded, waiting for a reply
	// forwards are this array's writes at the owner; foreignEnd is the newest place of
	// one of the other array's here.
	forwards   forwards
	foreignEnd array.Place
	installs   []install
	// peerApplied is what the other array has applied; tellApplied, that it waits to
	// hear how far this one is.
	peerApplied array.Place
	tellApplied bool
	balance     balance
	// termStretch is the stretch in which the newest term began.
	termStretch uint64
	busy        []*work // read-modify-writes that hold their range
	modifying   sync.WaitGroup
	ending      bool
	repeats     map[array.VolumeID]*repeats

	contact bool
	// standIn: the other array's ports lead here.
	standIn bool
	// talk numbers the contact, and is in every packet: it is made of the greetings that
	// began it, mine and theirs.
	talk, mine, theirs uint64
	// greetings is this side's newest greeting, newest the other's.
	greetings, newest uint64

	greeted bool
	// begunAt is when it was greeted anew, greetedAt when last.
	begunAt, greetedAt time.Time
	contactAt          time.Time
	theirLog           []replication.Segment
	theirEpoch         array.Epoch
	hasTheirs          bool
	// stretch numbers this side's views and contacts; theirStretch is that of their
	// description, metStretch of the one that was compared.
	stretch, theirStretch, metStretch uint64
	logWanted                         bool // the own description is to be sent when the log is quiet
	// unjoinable is what was told of logs that can't be joined.
	unjoinable string
	cursor     array.Place
	filling    *fillRun
	recent     []*entry // applied, kept while the other array is filled
	recentSize int
	// progress is what the other held when it last got further, at progressAt.
	progress   array.Place
	progressAt time.Time
	copying    *copyRun
	rebuild    *rebuild
	refusedAt  time.Time // when a copy was refused that is over for its source
	period     period
	taking     *taking
	putter     *taking // the last one: its work may go on when it is given up, and is waited for
	turned     turn    // the newest point that this array turned to
	shadowed   bool    // pages of an unfinished point are beside the kept ones
	dropping   int     // copies that are being given up; nothing is applied meanwhile
	// peerPartial: the other's pages are not known to be whole; it can't be a member.
	peerPartial bool
	pagesPut    int64
	opened      uint64 // last period in which this side granted for the group
	openedFor   uint64 // and the record it did so for
	// change names the description of the group that this array has, theirChange that
	// of the other: 0 until it says so in this contact.
	change, theirChange uint64
	// stuckUnheard: the next committed record is of a volume that is not here yet.
	stuckUnheard bool
	// theirRecord is the membership record that the other array told last.
	theirRecord arb.Record
	unsent      int64 // bytes of records in sends
	// lostAt is since when there is no contact; toldSilent, that the core knows.
	lostAt       time.Time
	toldSilent   bool
	journalStuck bool   // the array's journal, at this moment
	distrusted   bool   // the disk was found to be of the past, and that is stored
	theirGrant   uint64 // period of the other's grants that counts
	sealedAt     time.Time
	ownerSince   time.Time // when the committed owner last changed
	leaving      bool      // the array shuts down
	heldSince    time.Time // when the role became held
	served       bool      // hosts, when it was decided last who serves
	swapping     bool      // a swap at the witness is under way
	retryAt      time.Time // when a vote that got no answer is asked for again
	joinAfter    time.Time
	switching    *switchover
	decisions    []arb.Decision
	stopped      bool
	stopAgain    time.Time // when a stop that could not be decided is tried again
	resend       bool      // a record was refused for want of room; ask for it again
	failed       error
	starved      time.Time // since when there is no room; zero if there is
	gaveUp       bool      // for want of room
	unstored     bool      // the arbitration core holds what the disk does not
	superseded   bool      // it failed, and the other array is known to go on alone

	heals     map[damage]*heal
	damaged   map[damage]bool                // pages of which it was told that they stay damaged
	questions map[uint64]func(Packet, error) // of comparisons, by their number
	mends     int                            // questions of the other array that are worked on
	aside     aside
	copyStuck copyStuck
}

// entry is a record between its place and its application.
type entry struct {
	rec  journal.Record
	pos  array.Position
	buf  *block.Buffer
	work *work  // nil for followers and own entries
	then func() // after application, for entries
}

// Open starts the group from what is stored. st is the founding or stored record.
func Open(cfg Config, found arb.Record) (*Group, error) {
	g := &Group{cfg: cfg, stopped: cfg.Stopped, opened: 1, heldSince: cfg.Now(), wake: make(chan struct{}, 1), done: make(chan struct{}), units: map[array.VolumeID]*Unit{}, calls: map[[8]byte]*call{}, repeats: map[array.VolumeID]*repeats{}, gone: map[array.VolumeID]bool{}, forwards: forwards{byID: map[uint64]*work{}}, heals: map[damage]*heal{}, damaged: map[damage]bool{}, questions: map[uint64]func(Packet, error){}}
	for _, v := range cfg.Gone {
		g.noteGone(v)
	}
	if err := g.load(found); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.what(), err)
	}
	g.setGate()
	return g, nil
}

// Start runs the loop. Volumes are added before.
func (g *Group) Start() {
	g.started = true
	g.lostAt = g.cfg.Now() // who greets at once is not without an answer since ever
	g.notifyPaths()
	go g.loop()
	g.post(func() {
		if g.cfg.Peer == nil {
			var out arb.Output
			g.m.PeerSilent(nonce(), &out)
			g.m.GrantEnded(nonce(), &out)
			g.carry(&out)
		}
		g.settle()
	})
}

// Close stops the loop; commands without a place get BUSY.
func (g *Group) Close() {
	g.in.close()
	g.poke()
	<-g.done
}

func (g *Group) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Wake lets the loop look again, because memory or room has become free.
func (g *Group) Wake() { g.poke() }

// ask runs f on the loop and waits for it.
func (g *Group) ask(f func()) error {
	ready := make(chan struct{})
	if !g.post(func() { f(); close(ready) }) {
		return array.Errorf(array.Conflict, "%s is closed", g.what())
	}
	select {
	case <-ready:
		return nil
	case <-g.done:
		return array.Errorf(array.Conflict, "%s is closed", g.what())
	}
}

// loop takes all that was posted at once, so that one flush and one write of the
// socket serve it all.
func (g *Group) loop() {
	defer close(g.done)
	every := tickEvery
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-g.wake:
		case <-tick.C:
			g.tick()
		}
		batch, closed := g.in.take()
		for i := range batch {
			g.take(&batch[i])
		}
		g.in.through(batch)
		g.settle()
		if p := g.pace(); p != every {
			every = p
			tick.Reset(every)
		}
		g.noteRest(every)
		if closed {
			g.end()
			return
		}
	}
}

// settle does what the cores now allow and sends what has gathered.
func (g *Group) settle() {
	for range 8 {
		before, applied := len(g.appends)+len(g.sends), g.applied
		g.follow()
		g.open()
		g.settleForwards()
		g.place()
		g.flush()
		g.apply()
		waits := len(g.waiting) > 0 && g.applied != applied // for what was just applied, perhaps
		if len(g.appends)+len(g.sends) == before && !g.more() && !waits {
			break
		}
	}
	g.putPages()
	g.settleInstalls()
	g.acknowledge()
	g.flush()
	g.setGate()
	g.checkRetiring()
	g.checkHolding()
}

// more reports whether another turn would do something.
func (g *Group) more() bool { return g.core.MustOpen() || g.applied < g.core.Commit() && g.canApply() }

// flush hands the gathered records to the journal first, and then sends.
func (g *Group) flush() {
	if len(g.appends) > 0 {
		recs := g.appends
		err := g.cfg.Log.Append(recs...) // copies them
		clear(recs)
		if g.appends = nil; cap(recs) <= maxSpare {
			g.appends = recs[:0]
		}
		if err != nil {
			g.fail(fmt.Errorf("append %d records: %w", len(recs), err))
			return
		}
	}
	for i, p := range g.sends {
		p.Group = g.cfg.ID
		if p.Type == PacketHello {
			binary.BigEndian.PutUint64(p.Tag[8:], g.theirs)
		} else {
			binary.BigEndian.PutUint64(p.Tag[8:], g.talk)
		}
		err := g.cfg.Peer.Send(p)
		if err != nil && array.KindOf(err) == array.Busy {
			// The way is crowded: the rest goes later, in its order.
			n := copy(g.sends, g.sends[i:])
			clear(g.sends[n:])
			g.sends = g.sends[:n]
			g.countUnsent()
			return
		}
		if array.KindOf(err) == array.Invalid {
			g.cfg.Logger.Error("packet to the other array", "group", g.cfg.Name, "type", p.Type, "err", err)
		}
		// Without a connection there is no contact; a new one says all anew.
		if p.Buf != nil {
			p.Buf.Release()
		}
	}
	clear(g.sends)
	g.sends, g.unsent = g.sends[:0], 0
}

func (g *Group) countUnsent() {
	g.unsent = 0
	for _, p := range g.sends {
		if p.Type == PacketRecord {
			g.unsent += p.Length
		}
	}
}

// maxUnsent is how many bytes of records may wait for the way to an array that is not
// a member: more would take memory that hosts need. It is filled later.
const maxUnsent = 8 << 20

// crowded reports whether the way to an array that is not a member takes no more now.
func (g *Group) crowded() bool { return g.view.Role == arb.Alone && g.unsent > maxUnsent }

// sendRecord gathers a record for the other array. It holds the data until they are
// on their way: the record may be applied and forgotten before.
func (g *Group) sendRecord(r journal.Record, owner array.Side, buf *block.Buffer) {
	if buf != nil {
		buf.Retain()
	}
	g.unsent += int64(len(r.Payload))
	g.sends = append(g.sends, g.recordPacket(r, owner, buf))
}

// dropSends lets go of what was gathered in a contact that is over.
func (g *Group) dropSends() {
	for _, p := range g.sends {
		if p.Buf != nil {
			p.Buf.Release()
		}
	}
	clear(g.sends)
	g.sends, g.unsent = g.sends[:0], 0
}

func nonce() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:])
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}
