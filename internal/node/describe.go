// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// Description is all that hosts can see of a group, as the serving array has it.
type Description struct {
	Group RCGroup   `json:"group"`
	VVs   []VV      `json:"vvs"`
	VLUNs []VLUN    `json:"vluns"`
	Hosts []Host    `json:"hosts"`
	Sets  []HostSet `json:"sets"`
	// Schedules are what is to be done to the group's volumes again and again.
	Schedules []Schedule `json:"schedules,omitempty"`
	// Record is the membership record of the array that sends it, in stored form: an
	// array that has nothing of the group begins with it, and so as a copy to be made.
	Record []byte `json:"record,omitempty"`
}

// request is what one array asks of the other.
type request struct {
	Take    *Description  `json:"take,omitempty"`
	Give    array.GroupID `json:"give,omitempty"`
	Check   *Description  `json:"check,omitempty"`
	Drop    array.GroupID `json:"drop,omitempty"`
	Command []string      `json:"command,omitempty"`
	Host    *hostChange   `json:"host,omitempty"`
	// Leaving: the asking array shuts down.
	Leaving bool `json:"leaving,omitempty"`
}

// response answers it.
type response struct {
	Text  string     `json:"text,omitempty"`
	Error string     `json:"error,omitempty"`
	Kind  array.Kind `json:"kind,omitempty"`
}

func (r response) err() error {
	if r.Error == "" {
		return nil
	}
	return &array.Error{Kind: r.Kind, Text: r.Error}
}

const (
	// askWithin is how long the other array may take to answer, commandWithin for a
	// command, which may wait until a group is in sync.
	askWithin     = 20 * time.Second
	commandWithin = syncWithin + time.Minute
)

// unanswered is the error of a request that the other array may have carried out.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// ask sends a request to the other array.
func (n *Node) ask(ctx context.Context, q request) (string, error) {
	return n.askWithin(ctx, askWithin, q)
}

func (n *Node) askWithin(ctx context.Context, limit time.Duration, q request) (string, error) {
	if n.pair == nil {
		return "", array.Errorf(array.Conflict, "this array has no target")
	}
	b, err := pack(q)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := n.pair.Ask(ctx, b)
	if err != nil {
		return "", unanswered{err}
	}
	var r response
	if err := unpack(out, &r); err != nil {
		return "", unanswered{array.Errorf(array.Internal, "the other array's answer can't be read: %v", err)}
	}
	return r.Text, r.err()
}

func (n *Node) serveCall(body []byte) []byte {
	var q request
	var r response
	err := unpack(body, &q)
	switch {
	case err != nil:
		err = array.Errorf(array.Invalid, "the request can't be read: %v", err)
	case q.Take != nil:
		err = n.take(*q.Take)
	case q.Check != nil:
		err = n.checkDescription(*q.Check)
	case q.Give != 0:
		r.Text, err = n.give(q.Give)
	case q.Drop != 0:
		err = n.dropGroup(q.Drop)
	case q.Host != nil:
		err = n.takeHost(*q.Host)
	case q.Leaving:
		err = n.letGo()
	case len(q.Command) > 0:
		r.Text, err = n.runHere(context.Background(), q.Command)
	}
	if err != nil {
		r.Error, r.Kind = err.Error(), array.KindOf(err)
	}
	b, err := pack(r)
	if err != nil {
		b, _ = pack(response{Error: err.Error(), Kind: array.KindOf(err)})
	}
	return b
}

// describe gathers the description of a group.
func (n *Node) describe(id array.GroupID) (Description, error) {
	var d Description
	err := n.store.View(func(t *store.Tx) error {
		g, ok, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil || !ok {
			return array.Errorf(array.NotFound, "group %v does not exist", id)
		}
		d.Group = g
		in := map[array.VolumeID]bool{}
		if err := tables.vvs.Each(t, func(_ string, v VV) error {
			if v.Group == id {
				if p := n.cpgs[v.CPG]; p != nil && p.Volume(v.ID) != nil {
					v.Size = max(v.Size, p.Volume(v.ID).Spec().Size) // a crash came after it grew
				}
				d.VVs = append(d.VVs, v)
				in[v.ID] = true
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tables.scheds.Each(t, func(_ string, s Schedule) error {
			if s.Group == id {
				d.Schedules = append(d.Schedules, s)
			}
			return nil
		}); err != nil {
			return err
		}
		names := map[string]bool{}
		if err := tables.vluns.Each(t, func(_ string, v VLUN) error {
			if in[v.Volume] {
				d.VLUNs = append(d.VLUNs, v)
				names[v.Host] = true
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tables.sets.Each(t, func(_ string, s HostSet) error {
			if names["set:"+s.Name] {
				d.Sets = append(d.Sets, s)
				for _, h := range s.Hosts {
					names[h] = true
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Each(t, func(_ string, h Host) error {
			if names[h.Name] {
				d.Hosts = append(d.Hosts, h)
			}
			return nil
		})
	})
	return d, err
}

// checkDescription says what would keep take from taking d up.
func (n *Node) checkDescription(d Description) error {
	return n.store.View(func(t *store.Tx) error {
		for _, v := range d.VVs {
			if n.cpgs[v.CPG] == nil {
				return array.Errorf(array.NotFound, "CPG %s is not configured on array %s", v.CPG, n.cfg.Name)
			}
			if err := tables.vvs.Each(t, func(_ string, o VV) error {
				switch {
				case o.ID == v.ID && o.Size > v.Size:
					return array.Errorf(array.Conflict, "volume %s has %d bytes on array %s and %d on the other: a volume never gets smaller", v.Name, o.Size, n.cfg.Name, v.Size)
				case o.Name == v.Name && o.ID != v.ID:
					return array.Errorf(array.Exists, "volume %s exists on array %s and is another one", v.Name, n.cfg.Name)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		if err := n.checkExports(t, d); err != nil {
			return err
		}
		if err := n.checkSchedules(t, d); err != nil {
			return err
		}
		return tables.groups.Each(t, func(_ string, g RCGroup) error {
			if g.Name == d.Group.Name && g.ID != d.Group.ID && !g.Private {
				return array.Errorf(array.Exists, "Remote Copy group %s exists on array %s and is another one", g.Name, n.cfg.Name)
			}
			return nil
		})
	})
}

// checkExports refuses a description after which hosts of this array would see other
// volumes than before, or a host would not be the one it is here.
func (n *Node) checkExports(t *store.Tx, d Description) error {
	s, err := loadSight(t)
	if err != nil {
		return err
	}
	private := map[array.GroupID]bool{}
	if err := tables.groups.Each(t, func(_ string, g RCGroup) error { private[g.ID] = g.Private; return nil }); err != nil {
		return err
	}
	after, err := s.with(d, n.cfg.Name, func(v array.VolumeID) bool { return !private[s.vvs[v].Group] })
	if err != nil {
		return err
	}
	_, err = after.seen()
	return err
}

// take makes this array's side of a group what d says.
func (n *Node) take(d Description) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	if err := n.keepUntold(&d); err != nil {
		return err
	}
	if err := n.checkDescription(d); err != nil {
		return err
	}
	old, err := n.describe(d.Group.ID)
	fresh := err != nil
	if fresh {
		if err := n.finishDrop(d.Group.ID); err != nil {
			return err
		}
		if err := n.beginWith(d); err != nil {
			return err
		}
	}
	if !fresh {
		if err := n.mayTake(d); err != nil {
			return err
		}
		if !d.Group.newerThan(old.Group) {
			return n.applyAgain(old)
		}
		for _, v := range d.VVs {
			if slices.Contains(old.Group.Gone, v.ID) {
				return array.Errorf(array.Conflict, "volume %s was removed from group %s on array %s: its pages are gone there", v.Name, d.Group.Name, n.cfg.Name)
			}
		}
	}
	gone := missing(old.VVs, d.VVs)
	if err := n.unneeded(gone, d.VVs...); err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error { return putDescription(t, old, d, gone) }); err != nil {
		return err
	}
	return n.apply(d, idsOf(gone))
}

// mayTake refuses a description of a group that is served here: the other array
// doesn't know yet that it isn't served there any more.
func (n *Node) mayTake(d Description) error {
	n.mu.RLock()
	r := n.groups[d.Group.ID]
	n.mu.RUnlock()
	if r == nil {
		return nil
	}
	i, err := r.g.Info()
	if err == nil && i.Serving {
		err = array.Errorf(array.Conflict, "group %s is served by array %s, which describes it", d.Group.Name, n.cfg.Name)
	}
	return err
}

// takeOut ends the service of volumes that are gone.
func (n *Node) takeOut(run *running, gone []array.VolumeID) error {
	var served []array.VolumeID
	n.mu.Lock()
	for _, id := range gone {
		if run.units[id] != nil {
			delete(run.units, id)
			served = append(served, id)
		}
	}
	n.mu.Unlock()
	if len(served) > 0 {
		if err := n.exports.rebuild(); err != nil {
			return err
		}
	}
	for _, id := range gone {
		if err := run.g.RemoveVolume(id); err != nil {
			return err
		}
	}
	return nil
}

// applyAgain does what a description that was stored failed to bring about.
func (n *Node) applyAgain(d Description) error {
	n.mu.RLock()
	run := n.groups[d.Group.ID]
	behind := run != nil && d.Group.newerThan(run.rec)
	n.mu.RUnlock()
	if !behind {
		return nil
	}
	return n.apply(d, d.Group.Gone)
}

// apply brings the running group in line with the stored description d, and removes the
// pages of the volumes that are gone.
func (n *Node) apply(d Description, gone []array.VolumeID) error {
	n.applying.Lock()
	defer n.applying.Unlock()
	n.mu.RLock()
	run := n.groups[d.Group.ID]
	n.mu.RUnlock()
	if run == nil {
		if _, err := n.openGroup(d.Group, d.VVs); err != nil {
			return err
		}
		return n.exports.rebuild()
	}
	for _, v := range d.VVs {
		if run.units[v.ID] != nil {
			if v.Of != 0 {
				continue
			}
			// An array that was away when it grew learns the size so; else the entry was first.
			d := n.cpgs[v.CPG].Volume(v.ID)
			if err := d.Grow(v.Size); err != nil {
				return err
			}
			d.SetCap(v.mayTake())
			continue
		}
		if n.awaits(v) {
			continue
		}
		i, err := run.g.Info()
		if err != nil {
			return err
		}
		if p := n.cpgs[v.CPG]; p != nil {
			// What the group's log held before the volume came concerns other pools.
			if err := p.Begin(v.Group, i.Applied); err != nil {
				return err
			}
		}
		disk, err := n.disk(v)
		if err != nil {
			return err
		}
		run.pages.add(n.cpgs[v.CPG])
		if err := n.addUnit(run, v, disk); err != nil {
			return err
		}
	}
	if err := n.takeOut(run, gone); err != nil {
		return err
	}
	if err := n.removePages(gone...); err != nil {
		return err
	}
	n.mu.Lock()
	run.rec = d.Group
	n.mu.Unlock()
	run.g.SetPolicy(n.policy(d.Group))
	if err := n.exports.rebuild(); err != nil {
		return err
	}
	return run.g.Described(d.Group.Change)
}

func putDescription(t *store.Tx, old, d Description, gone []VV) error {
	for _, v := range old.VLUNs {
		if err := tables.vluns.Delete(t, vlunKey(v)); err != nil {
			return err
		}
	}
	for _, s := range old.Schedules {
		if err := tables.scheds.Delete(t, s.Name); err != nil {
			return err
		}
	}
	for _, s := range d.Schedules {
		if err := tables.scheds.Put(t, s.Name, s); err != nil {
			return err
		}
	}
	for _, v := range gone {
		if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
			return err
		}
	}
	if err := tables.groups.Put(t, store.Key(uint64(d.Group.ID)), d.Group); err != nil {
		return err
	}
	for _, v := range d.VVs {
		if err := tables.vvs.Put(t, store.Key(uint64(v.ID)), v); err != nil {
			return err
		}
	}
	for _, h := range d.Hosts {
		if err := tables.hosts.Put(t, h.Name, h); err != nil {
			return err
		}
	}
	for _, s := range d.Sets {
		if err := tables.sets.Put(t, s.Name, s); err != nil {
			return err
		}
	}
	for _, v := range d.VLUNs {
		if err := tables.vluns.Put(t, vlunKey(v), v); err != nil {
			return err
		}
	}
	return nil
}

func vlunKey(v VLUN) string { return v.Host + "/" + strings.ToLower(store.Key(uint64(v.LUN))) }

// pushAll tells the other array of every group served here whenever it answers
// again, so that what it missed is made good.
func (n *Node) pushAll(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	sent, refused := map[array.GroupID]uint64{}, map[string]string{}
	var start array.StartID
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !n.pair.Reachable() {
			clear(sent)
			continue
		}
		if s := n.pair.System().Start; s != start {
			start = s
			clear(sent)
		}
		n.tellHosts(ctx, refused)
		for _, r := range n.shared() {
			if sent[r.rec.ID] == r.rec.Version {
				continue
			}
			if i, err := r.g.Info(); err != nil || !i.Serving {
				continue
			}
			d, err := n.described(r.rec.ID)
			if err != nil {
				continue
			}
			if _, err := n.ask(ctx, request{Take: &d}); err != nil {
				if text := err.Error(); refused["group "+r.rec.Name] != text {
					refused["group "+r.rec.Name] = text
					n.event(fmt.Sprintf("group %s: the other array does not take its newest description: %s", r.rec.Name, text))
				}
				continue
			}
			sent[r.rec.ID] = d.Group.Version
		}
	}
}

// shared returns copies of the open groups that are not private.
func (n *Node) shared() []running {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var l []running
	for _, r := range n.groups {
		if !r.rec.Private {
			l = append(l, *r)
		}
	}
	slices.SortFunc(l, func(a, b running) int { return strings.Compare(a.rec.Name, b.rec.Name) })
	return l
}
