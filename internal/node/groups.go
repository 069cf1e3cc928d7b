// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// pages joins the CPGs of a group's volumes: what holds for the group holds in all.
type pages struct {
	list atomic.Pointer[[]*volume.Pool] // replaced, never changed
}

func (p *pages) pools() []*volume.Pool {
	if l := p.list.Load(); l != nil {
		return *l
	}
	return nil
}

// add is called by one goroutine at a time; the others may be called meanwhile.
func (p *pages) add(v *volume.Pool) {
	if !slices.Contains(p.pools(), v) {
		l := append(slices.Clone(p.pools()), v)
		p.list.Store(&l)
	}
}

func (p *pages) Room(n int) bool {
	for _, x := range p.pools() {
		if !x.Room(n) {
			return false
		}
	}
	return true
}

func (p *pages) Crowded() bool {
	return slices.ContainsFunc(p.pools(), (*volume.Pool).Crowded)
}

func (p *pages) Destaged(g array.GroupID) array.Place {
	var low array.Place
	for i, x := range p.pools() {
		if d := x.Destaged(g); i == 0 || d < low {
			low = d
		}
	}
	return low
}

func (p *pages) Furthest(g array.GroupID) (most array.Place) {
	for _, x := range p.pools() {
		most = max(most, x.Furthest(g))
	}
	return most
}

func (p *pages) Advance(g array.GroupID, place array.Place) {
	for _, x := range p.pools() {
		x.Advance(g, place)
	}
}

// Flush puts all that was applied to the group so far on pages.
func (p *pages) Flush(g array.GroupID) error {
	return p.all(func(x *volume.Pool) error { return x.Flush(g) })
}

func (p *pages) Resyncing(g array.GroupID) bool {
	for _, x := range p.pools() {
		if x.Resyncing(g) {
			return true
		}
	}
	return false
}

func (p *pages) BeginResync(g array.GroupID) error {
	return p.all(func(x *volume.Pool) error { return x.BeginResync(g) })
}

// FinishResync turns all pools to the new state, one after the other, once each of them has
// all of it on pages: what can fail for want of room fails before the first. A pool that
// turned before an error came goes on from there.
func (p *pages) FinishResync(g array.GroupID, at array.Place) error {
	if err := p.all(func(x *volume.Pool) error { return x.FlushResync(g) }); err != nil {
		return err
	}
	return p.all(func(x *volume.Pool) error {
		if x.Finished(g) { // it turned already, or has its first volume since the resync began
			x.Advance(g, at)
			return x.Flush(g)
		}
		return x.FinishResync(g, at)
	})
}

// AbortResync takes all pools back. One that had turned to the new state already can't give
// it up, but counts from where the others are: what is written from now on must not pass
// for what it has.
func (p *pages) AbortResync(g array.GroupID) error {
	err := p.all(func(x *volume.Pool) error {
		if !x.Resyncing(g) {
			return nil
		}
		return x.AbortResync(g)
	})
	if err != nil {
		return err
	}
	at := p.Destaged(g)
	return p.all(func(x *volume.Pool) error { return x.Rewind(g, at) })
}

// PutPages refuses pages of a volume that is in no pool: dropped in silence, they
// would be missing from a copy that counts as whole.
func (p *pages) PutPages(g array.GroupID, puts []volume.Put) error {
	for _, q := range puts {
		if !slices.ContainsFunc(p.pools(), func(x *volume.Pool) bool { return x.Volume(q.Volume) != nil }) {
			return array.Errorf(array.NotFound, "put pages: volume %s does not exist here", q.Volume)
		}
	}
	return p.all(func(x *volume.Pool) error {
		var mine []volume.Put
		for _, q := range puts {
			if x.Volume(q.Volume) != nil {
				mine = append(mine, q)
			}
		}
		if len(mine) == 0 {
			return nil
		}
		return x.PutPages(g, mine)
	})
}

func (p *pages) all(f func(*volume.Pool) error) error {
	for _, x := range p.pools() {
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// openGroups opens every stored group with its volumes. One that can't be opened is
// left out, and told: the others are served, and of that one the other array finds that
// nobody answers for it here.
func (n *Node) openGroups() error {
	var recs []RCGroup
	var vvs []VV
	err := n.store.View(func(t *store.Tx) error {
		if err := tables.groups.Each(t, func(_ string, r RCGroup) error { recs = append(recs, r); return nil }); err != nil {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error { vvs = append(vvs, v); return nil })
	})
	if err != nil {
		return err
	}
	for _, r := range recs {
		var mine []VV
		for _, v := range vvs {
			if v.Group == r.ID {
				mine = append(mine, v)
			}
		}
		if err := n.removePages(r.allGone()...); err != nil {
			n.leaveOut(r, err)
			continue
		}
		if slices.ContainsFunc(vvs, func(v VV) bool {
			return v.Joins != nil && v.Joins.Held && slices.ContainsFunc(mine, func(o VV) bool { return o.ID == v.Joins.From })
		}) {
			n.leaveOut(r, array.Errorf(array.Unavailable, "whether another volume took its place in a Remote Copy group is found when that is served"))
			continue
		}
		_, _ = n.openGroup(r, mine) // which remembers why not
	}
	return nil
}

// removePages removes the pages of volumes that are gone, where there are any: a volume
// may never have been made here, and a crash may have come between.
func (n *Node) removePages(gone ...array.VolumeID) (err error) {
	for range 2 { // a volume goes after its snapshots
		err = nil
		for _, id := range gone {
			for _, p := range n.cpgs {
				err = errors.Join(err, n.removeFrom(p, id))
			}
		}
	}
	return err
}

// removeFrom removes a volume or snapshot from a CPG, if it is there. Snapshots that only the CPG
// knows go with it: points, and what was given up before it was on pages.
func (n *Node) removeFrom(p *volume.Pool, id array.VolumeID) error {
	if p.Volume(id) == nil {
		return nil
	}
	wanted := map[array.VolumeID]bool{}
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvs.With(t, byNeed, store.Key(uint64(id)), func(_ string, o VV) error {
			if o.Of == id && o.Point == 0 {
				wanted[o.ID] = true
			}
			return nil
		})
	}); err != nil {
		return err
	}
	return p.RemoveWith(id, func(s array.VolumeID) bool { return !wanted[s] })
}

// pagesOf joins the CPGs of a group's volumes. One that has none of them yet, because
// it was added to the configuration or a crash came between, counts from where the
// others stand.
func (n *Node) pagesOf(r RCGroup, vvs []VV) (*pages, error) {
	pg, known := &pages{}, &pages{}
	for _, v := range vvs {
		p := n.cpgs[v.CPG]
		if p == nil {
			return nil, array.Errorf(array.NotFound, "volume %s is in CPG %s, which is not configured", v.Name, v.CPG)
		}
		pg.add(p)
	}
	if len(pg.pools()) == 0 {
		pg.add(n.cpgs[n.cfg.CPGs[0].Name]) // a group without volumes has its places counted there
	}
	for _, p := range pg.pools() {
		if p.Holds(r.ID) {
			known.add(p)
		}
	}
	at := known.Destaged(r.ID)
	if len(known.pools()) == 0 { // its first volume; until now it was counted elsewhere
		for _, p := range n.cpgs {
			at = max(at, p.Destaged(r.ID))
		}
	}
	for _, p := range pg.pools() {
		if err := p.Begin(r.ID, at); err != nil {
			return nil, err
		}
	}
	return pg, nil
}

// openGroup starts a stored group with its volumes. What stands in its way is remembered
// and told.
func (n *Node) openGroup(r RCGroup, vvs []VV) (*running, error) {
	run, err := n.startGroup(r, vvs)
	if err != nil {
		n.leaveOut(r, err)
	}
	return run, err
}

// startGroup starts a group with its volumes, whose pages exist or are made.
func (n *Node) startGroup(r RCGroup, vvs []VV) (*running, error) {
	pg, err := n.pagesOf(r, vvs)
	if err != nil {
		return nil, err
	}
	run := &running{rec: r, units: map[array.VolumeID]*group.Unit{}, pages: pg, refused: new(atomic.Pointer[string]), unheard: new(atomic.Bool)}
	disks := make([]*volume.Volume, len(vvs))
	for i, v := range vvs {
		if n.awaits(v) {
			continue
		}
		d, err := n.disk(v)
		if err != nil {
			return nil, err
		}
		disks[i] = d
	}
	side := n.side()
	if r.Private {
		side = array.SideA
	}
	cfg := group.Config{
		ID: r.ID, Name: r.Name, Self: side, Arrays: [2]string{n.arrayName(0), n.arrayName(1)}, Ports: [2][]uint16{n.ports(0, n.portCount(0)), n.ports(1, n.portCount(1))},
		Policy: n.policy(r), Stopped: r.Stopped, Gone: r.allGone(),
		Log: n.jnl, Space: n.jnl, Pages: pg, Copy: pg, Points: pg, Shadow: pg, Buffers: n.pool, Keep: keep{n.store}, Logger: n.log, Event: n.event, Alarm: n.alarm, Unrepaired: n.unrepaired, Now: boottime.Now, Clock: n.now, Moved: n.moved,
	}
	var p *pair.Pair
	if r.Private {
		cfg.Ports[0] = n.ports(n.side(), len(n.cfg.ISCSI.Portals))
		cfg.Arrays[0] = n.cfg.Name
		cfg.Volume = volumeOfPrivate(r, vvs)
	} else if p = n.other(); p != nil {
		cfg.Peer = p.Way(r.ID)
		cfg.Doubted = n.witnessStarted()
	}
	if n.cfg.Groups != nil {
		n.cfg.Groups(&cfg)
	}
	unheard, err := n.unheardOf(r)
	if err != nil {
		return nil, err
	}
	run.unheard.Store(len(unheard) > 0)
	g, err := group.Open(cfg, arb.First(r.Founder, r.Founding))
	if err != nil {
		return nil, err
	}
	run.g = g
	if err := g.Described(r.Change); err != nil {
		return nil, err
	}
	for i, v := range vvs {
		if disks[i] == nil {
			continue
		}
		since := uint64(0)
		if slices.Contains(unheard, v.ID) {
			since = r.Change
		}
		if run.units[v.ID], err = addUnit(g, v, disks[i], since); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	n.groups[r.ID] = run
	delete(n.unopened, r.ID)
	n.wakeList()
	g.StandIn(n.keeper.Load().StandsIn()) // under the lock: a change after this finds the group
	n.mu.Unlock()
	g.Start()
	if p != nil {
		p.Add(r.ID, g)
	}
	return run, nil
}

func (n *Node) policy(r RCGroup) group.Policy {
	return group.Policy{
		Period: r.period(), OverPeriodAlert: r.Policies.OverPeriodAlert,
		AutoFailover: r.Policies.AutoFailover && r.Policies.PathManagement, WitnessStarted: n.witnessStarted(),
		AutoRecover: r.Policies.AutoRecover, AutoSynchronize: r.Policies.AutoSynchronize,
		ActiveActive: r.Policies.ActiveActive && !r.Private, Home: n.homeSide(r), PermanentLoss: r.Policies.PermanentLoss, Prefer: n.prefers(r), FollowWrites: r.Policies.FollowWrites,
	}
}

// wakeList publishes the groups for onRoom. The caller holds n.mu.
func (n *Node) wakeList() {
	l := make([]*group.Group, 0, len(n.groups))
	for _, r := range n.groups {
		l = append(l, r.g)
	}
	n.room.Store(&l)
}

func (n *Node) disk(v VV) (*volume.Volume, error) {
	p := n.cpgs[v.CPG]
	if p == nil {
		return nil, array.Errorf(array.NotFound, "volume %s is in CPG %s, which is not configured", v.Name, v.CPG)
	}
	if d := p.Volume(v.ID); d != nil {
		if v.Of != 0 {
			return d, nil
		}
		d.SetCap(v.mayTake())
		return d, d.Grow(v.Size)
	}
	s := volume.VolumeSpec{ID: v.ID, Group: v.Group, Size: v.Size, Provisioning: v.Provisioning, Compress: v.Compress, Base: v.Base}
	create := p.Create
	if v.Base != 0 {
		create = p.Branch
	}
	d, err := create(s)
	if err == nil {
		d.SetCap(v.mayTake())
	}
	return d, err
}

// awaits reports whether a snapshot is not made yet on this array, or was missed.
func (n *Node) awaits(v VV) bool {
	p := n.cpgs[v.CPG]
	return v.Of != 0 && p != nil && p.Volume(v.ID) == nil
}

// addUnit adds a volume to a group, with what hosts know it by, as a description has it.
func addUnit(g *group.Group, v VV, d *volume.Volume, since uint64) (*group.Unit, error) {
	w := array.MakeWWN(v.identity())
	return g.AddVolume(scsi.Identity{WWN: w, Serial: w.String()[16:], Name: v.Name, Volume: v.ID, ReadOnly: v.Of != 0}, d, since)
}

// addVolume gives a volume to a group that is open, as a description has it.
func (n *Node) addVolume(run *running, v VV, d *volume.Volume, since uint64) error {
	u, err := addUnit(run.g, v, d, since)
	if err != nil {
		return err
	}
	n.publish(run.rec.ID, func(r *running) {
		r.units = maps.Clone(r.units)
		r.units[v.ID] = u
	})
	return nil
}

// infoOf returns how a group stands. It waits for the group, which may be writing to the
// store: never inside one of the store's transactions, which that may be waiting for.
func (n *Node) infoOf(id array.GroupID) (i group.Info, err error) {
	r := n.running(id)
	if r == nil {
		return i, array.Errorf(array.NotFound, "group %v is not open", id)
	}
	return r.g.Info()
}

// closeGroup takes a group out of use.
func (n *Node) closeGroup(id array.GroupID) {
	n.mu.Lock()
	r := n.groups[id]
	delete(n.groups, id)
	delete(n.unopened, id)
	n.wakeList()
	n.mu.Unlock()
	if r == nil {
		return
	}
	if p := n.other(); p != nil {
		p.Remove(id)
	}
	r.g.Close()
}

// volumeOfPrivate is the name of the volume that a private group is of.
func volumeOfPrivate(r RCGroup, vvs []VV) string {
	for _, v := range vvs {
		if v.Of == 0 {
			return v.Name
		}
	}
	return r.Name
}
