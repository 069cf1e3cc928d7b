// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/pair"
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

// describe gathers the description of a group.
func (n *Node) describe(id array.GroupID) (Description, error) {
	var d Description
	err := n.store.View(func(t *store.Tx) error {
		g, ok, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil || !ok {
			return array.Errorf(array.NotFound, "group %v does not exist", id)
		}
		d.Group = g
		if err := tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error {
			if p := n.cpgs[v.CPG]; p != nil && p.Volume(v.ID) != nil {
				v.Size = max(v.Size, p.Volume(v.ID).Spec().Size) // a crash came after it grew
			}
			d.VVs = append(d.VVs, v)
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
		for _, v := range d.VVs {
			if err := tables.vluns.With(t, byVolume, store.Key(uint64(v.ID)), func(_ string, l VLUN) error {
				d.VLUNs = append(d.VLUNs, l)
				return nil
			}); err != nil {
				return err
			}
		}
		slices.SortFunc(d.VLUNs, func(a, b VLUN) int { return strings.Compare(vlunKey(a), vlunKey(b)) })
		return d.addHosts(t)
	})
	return d, err
}

// addHosts adds the hosts and sets that the group is exported to, or that have a proximity.
func (d *Description) addHosts(t *store.Tx) error {
	names := map[string]bool{}
	for _, x := range d.Group.Near {
		names[x.Host] = true
	}
	for _, v := range d.VLUNs {
		names[v.Host] = true
	}
	for _, v := range d.VVs {
		if v.Joins != nil {
			for _, l := range v.Joins.VLUNs {
				names[l.Host] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		set, is := strings.CutPrefix(name, "set:")
		if !is {
			continue
		}
		s, ok, err := tables.sets.Get(t, set)
		if err != nil {
			return err
		}
		if ok {
			d.Sets = append(d.Sets, s)
			for _, h := range s.Hosts {
				names[h] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		h, ok, err := tables.hosts.Get(t, name)
		if err != nil {
			return err
		}
		if ok {
			d.Hosts = append(d.Hosts, h)
		}
	}
	return nil
}

// pushAll tells the other array of every group served here whenever it answers
// again, so that what it missed is made good.
func (n *Node) pushAll(ctx context.Context, p *pair.Pair) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	sent, refused, sets, entries := map[array.GroupID]uint64{}, map[string]string{}, map[string]uint64{}, map[string]uint64{}
	turns := map[string]int{}
	var start array.StartID
	service := false // whether the other array was told in this contact
	busy := 0        // how often in a row a command ran
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		n.obeyService(ctx)
		if !p.Reachable() {
			clear(sent)
			clear(sets)
			service = false
			clear(entries)
			n.parted()
			n.forgetRefusals()
			continue
		}
		if s := p.System().Start; s != start {
			start = s
			clear(sent)
			clear(sets)
			service = false
			clear(entries)
			n.parted()
			n.unmade.Store(true)
		}
		service = service || n.tellService(ctx) == nil
		n.tellDrops(ctx, refused)
		n.tellHosts(ctx, refused, turns)
		n.tellUsers(ctx, refused)
		n.tellAllVVSets(ctx, sets, refused)
		n.tellAllBook(ctx, entries, refused)
		if err := n.forgetHeard(); err != nil {
			n.eventOnce(err.Error())
		}
		for _, r := range n.shared() {
			if sent[r.rec.ID] == r.rec.Version && !n.toTellAgain(r.rec.ID) {
				continue
			}
			if !r.g.MayServe() { // for which no group has to be woken
				r.refusedThere(nil)
				continue
			}
			i, err := r.g.Info()
			if err == nil && i.Unheard && i.Owner == i.Self {
				if err := n.learn(ctx, r.rec.ID); err != nil {
					n.refusedOnce(refused, "unheard "+r.rec.Name, fmt.Sprintf("group %s can't be served here: what array %s described last is not here yet: %v", r.rec.Name, n.to().Name, err))
				}
			}
			if err != nil || !i.Serving {
				r.refusedThere(nil)
				continue
			}
			again := n.tellingAgain(r.rec.ID)
			version, err := n.push(ctx, r.rec.ID, busy >= maxBusy)
			if err != nil && again {
				n.tellAgain(r.rec.ID)
			}
			if errors.Is(err, errChanging) {
				busy++
				continue
			}
			busy = 0
			r.refusedThere(err)
			if err != nil {
				n.refusedOnce(refused, "group "+r.rec.Name, fmt.Sprintf("group %s: the other array does not take its newest description: %v", r.rec.Name, err))
				continue
			}
			sent[r.rec.ID] = version
		}
	}
}

// refusedOnce tells people of something that is tried again and again, once for each reason.
func (n *Node) refusedOnce(refused map[string]string, what, text string) {
	if refused[what] != text {
		refused[what] = text
		n.warn(text)
	}
}

// tellAgain has the other array told of a group that it may have dropped.
func (n *Node) tellAgain(id array.GroupID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.again[id] = true
}

func (n *Node) toTellAgain(id array.GroupID) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.again[id]
}

// tellingAgain reports whether it is to be told, and takes the mark away: before it is told, for what
// happens from then on marks the group anew.
func (n *Node) tellingAgain(id array.GroupID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer delete(n.again, id)
	return n.again[id]
}

// errChanging: a command is changing something, and tells the other array itself.
var errChanging = errors.New("a command is running")

const (
	// maxBusy is how often commands go first.
	maxBusy = 5
	// pushWithin is how long commands wait for an answer of the other array to a push.
	pushWithin = 2 * time.Second
)

// push tells the other array what a group is now, and returns the version that it told. It
// does not while a command runs: what that changed is taken back if the other refuses it.
func (n *Node) push(ctx context.Context, id array.GroupID, wait bool) (uint64, error) {
	if wait {
		n.command.Lock()
	} else if !n.command.TryLock() {
		return 0, errChanging
	}
	defer n.command.Unlock()
	d, err := n.described(id)
	if err != nil || d.Group.Private {
		return 0, errChanging // it was just removed, or its only volume taken out
	}
	n.finish(d)
	places, err := n.placesOf(keyOf(groupKind, d.Group.Name))
	if err == nil {
		_, err = n.askWithin(ctx, pushWithin, request{Take: &d, Book: places})
	}
	return d.Group.Version, err
}

// finish carries out here what is left of a description, which is tried again if it can't be. The
// other array hears of it all the same. n.command is held.
func (n *Node) finish(d Description) {
	if err := n.applyAgain(d); err != nil {
		n.tellAgain(d.Group.ID)
		n.eventOnce(fmt.Sprintf("group %s: not all of what it is now is carried out on array %s yet: %v", d.Group.Name, n.cfg.Name, err))
	}
}

// finishPrivate does so of groups that no other array hears of.
func (n *Node) finishPrivate() {
	n.mu.RLock()
	var marked []array.GroupID
	for id := range n.again {
		if r := n.groups[id]; r != nil && r.rec.Private {
			marked = append(marked, id)
		}
	}
	n.mu.RUnlock()
	for _, id := range marked {
		if !n.command.TryLock() {
			return // that goes first
		}
		n.tellingAgain(id)
		if d, err := n.describe(id); err == nil { // else it was just removed
			n.finish(d)
		}
		n.command.Unlock()
	}
}

// shared returns copies of the open groups that are not private.
func (n *Node) shared() []running {
	return n.opened(func(r *running) bool { return !r.rec.Private })
}

// related are those that have to do with an array outside the pair: mostly none.
func (n *Node) related() []running {
	return n.opened(func(r *running) bool { return len(r.rec.Far) > 0 })
}

// opened returns copies of the open groups that are wanted, by their names.
func (n *Node) opened(wanted func(*running) bool) []running {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var l []running
	for _, r := range n.groups {
		if wanted(r) {
			l = append(l, *r)
		}
	}
	slices.SortFunc(l, func(a, b running) int { return strings.Compare(a.rec.Name, b.rec.Name) })
	return l
}
