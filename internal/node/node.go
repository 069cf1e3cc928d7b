// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/hostkey"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/takeover"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// Node is one array.
type Node struct {
	cfg   Config
	log   *slog.Logger
	start array.StartID
	ident *pki.Identity
	shown shownCertificate
	store *store.Store
	// events are what happened, audit who did what.
	events *event.Log
	audit  *event.Audit
	// alerts are the conditions that last; looks is what their watch remembers.
	alerts *event.Alerts
	looks  looks
	// people are the users; telling is held while the other array is told of a change.
	people  *people.Book
	telling sync.Mutex
	// turns counts what the other array was told of hosts and users; hostsTold and usersTold are
	// the newest that were heard from it.
	turns                atomic.Uint64
	hostsTold, usersTold told
	pool                 *block.Pool
	jnl                  *journal.Journal
	// jnlDevice is what the journal lies on, nil if that is a directory.
	jnlDevice *vfs.Partitioned
	cpgs      map[string]*volume.Pool
	rel       atomic.Pointer[relation]
	door      linkDoor
	far       farTargets
	farRuns   farRuns
	farCopies farCopies
	remaking  remaking
	hostsBack hostsBack
	scsi      *scsi.Server
	target    *iscsi.Target
	stop      context.CancelFunc
	wg        sync.WaitGroup

	broken atomic.Bool // the journal failed
	keeper atomic.Pointer[takeover.Keeper]

	scrubs     map[string]*scrubber // by CPG
	stopScrubs context.CancelFunc

	unmade  atomic.Bool // there may be names of snapshots that were not made
	copies  copies
	tasks   tasks
	pledges pledges
	scheds  scheds
	drills  drills
	// servicing is held while the state of Remote Copy is changed.
	servicing sync.Mutex
	// stopping: a command stops all groups.
	stopping atomic.Bool
	// limiting is held while rules for hosts are looked at or changed.
	limiting sync.Mutex
	limiters limiters
	allocs   allocs
	fullness fullness

	// shuttingDown: it is about to end, and changes nothing any more for people.
	shuttingDown atomic.Bool

	repeated repeated
	// lockouts are those that were told of late, apart from other news: strangers make them.
	lockouts repeated
	denials  denials
	passed   passed
	// hostKeys are those of its SSH service, nil if it has none.
	hostKeys atomic.Pointer[hostkey.Keys]
	ops      atomic.Uint64 // commands of this array's own to its units

	// command is held while a command runs.
	command sync.Mutex
	// taking is held while a description of the other array is taken up, applying while
	// the running groups are brought in line with what is stored.
	taking, applying sync.Mutex

	mu     sync.RWMutex
	groups map[array.GroupID]*running
	// unopened are the groups that exist and could not be opened, with why.
	unopened map[array.GroupID]unopened
	// aside are groups that still run, and whose place another one is taking.
	aside map[array.GroupID]*running
	// again are groups of which the other array is to be told, whatever it heard.
	again   map[array.GroupID]bool
	book    bookTelling
	exports exports
	room    atomic.Pointer[[]*group.Group]
}

// Open starts the array and serves until Close.
func Open(cfg Config, log *slog.Logger) (*Node, error) {
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{cfg: cfg, log: log, stop: stop, cpgs: map[string]*volume.Pool{}, groups: map[array.GroupID]*running{}, unopened: map[array.GroupID]unopened{}, aside: map[array.GroupID]*running{}, again: map[array.GroupID]bool{}}
	n.exports.n = n
	n.rel.Store(&relation{})
	n.copies.init()
	n.tasks.init(ctx)
	n.scheds.told = map[string]string{}
	steps := []struct {
		what string
		do   func() error
	}{
		{"open the store", n.openStore},
		{"open the CPGs", n.openCPGs},
		{"limit the CPGs", n.capCPGs},
		{"open the journal", n.openJournal},
		{"open the relation to the other array", n.openRelation},
		{"finish removals", n.finishDrops},
		{"read how far the scrubs are", n.openScrubs},
		{"open the groups", n.openGroups},
		{"listen for the other array", func() error { return n.beginRelation(ctx) }},
		{"serve iSCSI", n.serve},
		{"keep the portals' addresses", n.openTakeover},
		{"begin to scrub", n.startScrubs},
		{"forward events", func() error { return n.openForwards(ctx) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			n.Close()
			return nil, fmt.Errorf("%s: %w", s.what, err)
		}
	}
	n.resumeTasks()
	n.wg.Go(func() { n.watchPledges(ctx) })
	n.wg.Go(func() { n.watchExpiry(ctx) })
	n.wg.Go(func() { n.watchUnmade(ctx) })
	n.wg.Go(func() { n.watchCopies(ctx) })
	n.wg.Go(func() { n.watchSchedules(ctx) })
	n.wg.Go(func() { n.watchAllocation(ctx) })
	n.wg.Go(func() { n.watchGoals(ctx) })
	n.wg.Go(func() { n.watchFars(ctx) })
	n.wg.Go(func() { n.watchConditions(ctx) })
	return n, nil
}

// now is the time for people.
func (n *Node) now() time.Time {
	if n.cfg.Clock != nil {
		return n.cfg.Clock()
	}
	return time.Now()
}

// raiseStarts makes durable that so many starts of this array are known elsewhere.
func (n *Node) raiseStarts(count uint64) error {
	return n.store.Update(func(t *store.Tx) error {
		c, _, err := tables.count.Get(t, "starts")
		if err != nil {
			return err
		}
		return tables.count.Put(t, "starts", max(c, count))
	})
}

func (n *Node) openStore() error {
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	if n.ident, err = pki.Load(filepath.Join(n.cfg.DataDir, "identity")); err != nil {
		return noIdentity(err, filepath.Join(n.cfg.DataDir, "identity"))
	}
	n.loadShown()
	if n.store, err = store.Open(filepath.Join(n.cfg.DataDir, "array.db")); err != nil {
		return err
	}
	if err := errors.Join(tables.vvs.Index(n.store), tables.vluns.Index(n.store), tables.groups.Index(n.store)); err != nil {
		return fmt.Errorf("index the volumes: %w", err)
	}
	if err := n.mendVLUNKeys(); err != nil {
		return fmt.Errorf("put the VLUNs at their keys: %w", err)
	}
	if err := n.loadRelation(); err != nil {
		return err
	}
	if err := n.sameArray(); err != nil {
		return err
	}
	if err := n.openLogs(); err != nil {
		return err
	}
	if err := errors.Join(n.loadTasks(), n.loadPledges()); err != nil {
		return fmt.Errorf("read the tasks: %w", err)
	}
	n.people = people.Open(n.store, people.Options{Paired: n.paired, Self: n.cfg.SystemID, Cost: n.cfg.LoginCost, Locked: n.lockedOut})
	n.pool = block.NewPool(n.cfg.Memory.BuffersMiB << 20)
	var b [8]byte
	_, _ = rand.Read(b[:])
	n.start.Nonce = binary.BigEndian.Uint64(b[:])
	return n.store.Update(func(t *store.Tx) error {
		c, _, err := tables.count.Get(t, "starts")
		if err != nil {
			return err
		}
		n.start.Count = c + 1
		return tables.count.Put(t, "starts", c+1)
	})
}

func (n *Node) openCPGs() error {
	for _, c := range n.cfg.CPGs {
		dir, err := filepath.Abs(c.Dir)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		files := vfs.NewOS(dir)
		o := volume.Options{
			MapFile: filepath.Join(dir, "map.db"), Pages: c.Device, Limit: c.limit(), Overlay: n.cfg.Memory.OverlayMiB << 20, Cache: n.cfg.Memory.MapCacheMiB << 20, Keep: n.cfg.Memory.readCacheMiB() << 20,
			OnRoom:     n.onRoom,
			OnBad:      n.damaged,
			OnSnapshot: n.snapshotMade,
			OnLevel:    func(percent int) { n.cpgLevel(c.Name, percent) },
			Alarm:      func(err error) { n.alarmOnce("CPG " + c.Name + ": " + err.Error()) },
		}
		if n.cfg.Pages != nil {
			n.cfg.Pages(&o)
		}
		p, err := volume.OpenPool(files, ".", o)
		if err != nil {
			return fmt.Errorf("CPG %s: %w", c.Name, err)
		}
		n.cpgs[c.Name] = p
	}
	return nil
}

// durable passes the journal's word to the groups.
func (n *Node) durable(ds []journal.Durable) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, d := range ds {
		for _, r := range []*running{n.groups[d.Group], n.aside[d.Group]} {
			if r != nil {
				r.g.JournalHolds(d.Pos.Place)
			}
		}
	}
}

func (n *Node) journalFailed(err error) {
	n.broken.Store(true)
	n.alarm("the journal failed: " + err.Error())
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, r := range n.groups {
		r.g.Stuck(true)
	}
}

// oldestWrite is how long the oldest journal write has been under way: for ever if
// the journal failed.
func (n *Node) oldestWrite() time.Duration {
	if n.broken.Load() {
		return math.MaxInt64
	}
	return n.jnl.Oldest(time.Now())
}

// onRoom wakes groups whose commands wait for memory.
func (n *Node) onRoom() {
	if gs := n.room.Load(); gs != nil {
		for _, g := range *gs {
			g.Wake()
		}
	}
}

func (n *Node) serve() error {
	if err := n.exports.rebuild(); err != nil {
		return err
	}
	n.scsi = scsi.NewServer(scsi.Config{Exports: &n.exports, Pool: n.pool, Revision: "0001", Limits: &n.limiters.engine})
	pg := make([]iscsi.PortalGroup, len(n.cfg.ISCSI.Portals))
	for i, a := range n.cfg.ISCSI.Portals {
		allow, err := iscsi.ParseAllowed(n.cfg.ISCSI.Allow[a])
		if err != nil {
			return fmt.Errorf("iscsi.allow of %s: %w", a, err)
		}
		pg[i] = iscsi.PortalGroup{
			Tag: uint16(i + 1), Relative: n.ports(n.side(), len(pg))[i], Listen: []string{a}, Allow: allow,
			Movable: slices.ContainsFunc(n.cfg.ISCSI.Takeover, func(m Movable) bool { return m.Portal == a }),
		}
	}
	guests, err := n.guests()
	if err != nil {
		return err
	}
	pg = append(pg, guests...)
	n.target, err = iscsi.Serve(iscsi.Config{
		Name: n.cfg.ISCSI.Name, Alias: n.cfg.Name, Groups: pg, Auth: &n.exports, Server: n.scsi, Logger: n.log,
		Limits: n.cfg.ISCSI.limits(),
	})
	return ListenFailed("iscsi.portals", err)
}

// ports returns the relative target port ids of a side, disjoint over the pair.
func (n *Node) ports(s array.Side, count int) []uint16 {
	p := make([]uint16, count)
	for i := range p {
		p[i] = uint16(s)*256 + uint16(i) + 1
	}
	return p
}

// Close ends all service in an order that loses nothing: hosts, groups, links, disks.
func (n *Node) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if n.target != nil {
		_ = n.target.Close(ctx)
	}
	if err := n.keeper.Load().Close(); err != nil {
		n.log.Warn("take the portals' addresses away", "err", err)
	}
	n.stop()
	if n.stopScrubs != nil {
		n.stopScrubs()
	}
	rel := n.rel.Load()
	n.leave(rel)
	n.shutLinkDoor()
	n.leaveFars()
	n.mu.RLock()
	gs := make([]*group.Group, 0, len(n.groups))
	for _, r := range n.groups {
		gs = append(gs, r.g)
	}
	n.mu.RUnlock()
	for _, g := range gs {
		g.Close()
	}
	rel.end()
	n.wg.Wait()
	n.closeJournal()
	for _, p := range n.cpgs {
		_ = p.Close()
	}
	if n.alerts != nil {
		n.alerts.Close()
	}
	if n.events != nil {
		n.events.Close()
	}
	if n.store != nil {
		_ = n.store.Close()
	}
}
