// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// Hosts, and sets of them, are defined on both arrays by one command. A change says what the
// host was, so that the other array can tell whether it means the same host; one that it
// could not be told of is kept, and told when it answers.

// hostChange makes a host or, as set:name, a set of hosts another one: Was is nil if there
// was none, Now if there is none any more.
type hostChange struct {
	Name   string   `json:"name"`
	Was    *Host    `json:"was,omitempty"`
	Now    *Host    `json:"now,omitempty"`
	WasSet *HostSet `json:"was_set,omitempty"`
	NowSet *HostSet `json:"now_set,omitempty"`
	// Maybe are what the other array may have made of it since Was: it was asked, and did not answer.
	Maybe store.States `json:"maybe,omitempty"`
}

// hostState is one of them, or neither.
type hostState struct {
	host *Host
	set  *HostSet
}

func (c hostChange) was() hostState { return hostState{c.Was, c.WasSet} }
func (c hostChange) now() hostState { return hostState{c.Now, c.NowSet} }

// state is what States are of.
func (x hostState) state() any {
	return struct {
		Host *Host
		Set  *HostSet
	}{x.host, x.set}
}

// meets reports whether c is a change of what there is.
func (c hostChange) meets(cur hostState) bool {
	return reflect.DeepEqual(cur, c.was()) || cur == hostState{} || c.Maybe.Has(cur.state())
}

// from is the change to what c makes of it, from something else.
func (c hostChange) from(was hostState) hostChange {
	c.Was, c.WasSet = was.host, was.set
	return c
}

// back is the change that takes c back.
func (c hostChange) back() hostChange {
	return hostChange{Name: c.Name, Was: c.Now, Now: c.Was, WasSet: c.NowSet, NowSet: c.WasSet}
}

// removes reports whether nothing is left.
func (c hostChange) removes() bool { return c.Now == nil && c.NowSet == nil }

// what is it for people.
func (c hostChange) what() string {
	if set, is := strings.CutPrefix(c.Name, "set:"); is {
		return "host set " + set
	}
	return "host " + c.Name
}

// check finds what can't be meant.
func (c hostChange) check() error {
	set, is := strings.CutPrefix(c.Name, "set:")
	switch {
	case is && (c.Was != nil || c.Now != nil) || !is && (c.WasSet != nil || c.NowSet != nil),
		c.Now != nil && c.Now.Name != c.Name, c.NowSet != nil && c.NowSet.Name != set:
		return array.Errorf(array.Invalid, "a change of %q to something of another name", c.Name)
	case c.Now != nil:
		return c.Now.check()
	case c.NowSet != nil:
		return c.NowSet.check()
	}
	return nil
}

// thereIs returns what is stored of that name.
func thereIs(t *store.Tx, name string) (x hostState, err error) {
	if set, is := strings.CutPrefix(name, "set:"); is {
		s, ok, err := tables.sets.Get(t, set)
		if ok {
			x.set = &s
		}
		return x, err
	}
	x.host, err = hostIn(t, name)
	return x, err
}

// changeHosts carries a change out here and at the other array, or, if that refuses it,
// nowhere. What is new is where it belongs from then on.
func (n *Node) changeHosts(ctx context.Context, c hostChange, place newPlace) error {
	if err := c.check(); err != nil {
		return err
	}
	var mark *hostChange
	var elsewhere book
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := thereIs(t, c.Name)
		switch {
		case err != nil:
			return err
		case c.was() == hostState{} && cur.host != nil:
			return array.Errorf(array.Exists, "host %s exists already", c.Name).Because(array.HostExists)
		case !reflect.DeepEqual(cur, c.was()):
			return array.Errorf(array.Conflict, "%s was changed meanwhile", c.what())
		}
		if err := c.apply(t, everywhere); err != nil {
			return err
		}
		if elsewhere, err = place.put(t); err != nil {
			return err
		}
		mark, err = n.noteUntold(t, c)
		return err
	})
	if err != nil {
		return err
	}
	if err := n.exports.rebuild(); err != nil {
		return err
	}
	if mark == nil || !n.reachable() {
		return nil
	}
	err = n.tellHost(ctx, *mark)
	if err == nil || errors.As(err, new(unanswered)) {
		return nil // it hears of it when it answers
	}
	back := c.back()
	if e := n.store.Update(func(t *store.Tx) error {
		if err := back.apply(t, everywhere); err != nil {
			return err
		}
		_, err := n.noteRefused(t, c)
		return orElse(err, elsewhere.takeBack(t))
	}); e != nil {
		return fmt.Errorf("take back a change the other array refused: %w", errors.Join(e, err))
	}
	return errors.Join(err, n.exports.rebuild())
}

// hostIn returns a host as it is stored, nil if there is none.
func hostIn(t *store.Tx, name string) (*Host, error) {
	h, ok, err := tables.hosts.Get(t, name)
	if err != nil || !ok {
		return nil, err
	}
	return &h, nil
}

// noteUntold notes that the other array, if there is one, is to hear of a change. It
// returns all that it is to hear of that host, nil if nothing.
func (n *Node) noteUntold(t *store.Tx, c hostChange) (*hostChange, error) {
	if !n.paired() {
		return nil, nil
	}
	old, ok, err := tables.untold.Get(t, c.Name)
	if err != nil {
		return nil, err
	}
	c.Maybe = nil
	if ok {
		c = c.from(old.was()) // what the other array knows
		c.Maybe = old.Maybe
	}
	if reflect.DeepEqual(c.was(), c.now()) && len(c.Maybe) == 0 {
		return nil, tables.untold.Delete(t, c.Name)
	}
	c.Maybe = c.Maybe.With(c.now().state()) // it is asked next
	return &c, tables.untold.Put(t, c.Name, c)
}

// noteRefused notes that a change is taken back that the other array, or a group, refused.
func (n *Node) noteRefused(t *store.Tx, c hostChange) (*hostChange, error) {
	old, ok, err := tables.untold.Get(t, c.Name)
	if err != nil {
		return nil, err
	}
	if old.Maybe = old.Maybe.Without(c.now().state()); ok {
		if err := tables.untold.Put(t, c.Name, old); err != nil {
			return nil, err
		}
	}
	return n.noteUntold(t, c.back())
}

// tellHost tells the other array of a change, which it does not have to be told again.
func (n *Node) tellHost(ctx context.Context, c hostChange) error {
	q := request{Host: &c, Turn: n.nextTurn()}
	if c.was() == (hostState{}) { // it has to be told where it belongs, too
		var err error
		if q.Book, err = n.placesOf(c.key()); err != nil {
			return err
		}
	}
	if _, err := n.ask(ctx, q); err != nil {
		return err
	}
	return n.store.Update(func(t *store.Tx) error {
		now, ok, err := tables.untold.Get(t, c.Name)
		switch {
		case err != nil || !ok:
			return err
		case reflect.DeepEqual(now.now(), c.now()):
			return tables.untold.Delete(t, c.Name)
		}
		return tables.untold.Put(t, c.Name, now.from(c.now())) // it was changed again meanwhile
	})
}

// patienceToTell is how often in a row the other array may refuse a change until people are
// told: it may have to hear of other changes first, or of what groups are exported to.
const patienceToTell = 3

// tellHosts tells the other array of all changes it has not heard of. refused is what it
// said of those it does not take, turns how often in a row.
func (n *Node) tellHosts(ctx context.Context, refused map[string]string, turns map[string]int) {
	if len(n.untold()) == 0 || !n.command.TryLock() { // the command may be telling it
		return
	}
	defer n.command.Unlock()
	failed := map[string]error{}
	for told := true; told; { // one may be in the way of another, and a removal of both
		told = false
		for _, c := range n.untold() {
			err := n.forgetStale(c)
			if err == nil {
				err = n.tellHost(ctx, c)
			}
			switch {
			case errors.Is(err, errStale):
				continue
			case errors.As(err, new(unanswered)):
				return
			case err == nil:
				told = true
				delete(failed, c.what())
				delete(turns, c.what())
				delete(refused, c.what())
			default:
				failed[c.what()] = err
			}
		}
	}
	for key, err := range failed {
		if turns[key]++; turns[key] >= patienceToTell && refused[key] != err.Error() {
			refused[key] = err.Error()
			n.warn(fmt.Sprintf("%s was changed here while the other array did not answer, which does not take it: %v", key, err))
		}
	}
}

// errStale says that a change is not what there is any more.
var errStale = errors.New("stale")

// forgetStale forgets a change after which the other array described the host.
func (n *Node) forgetStale(c hostChange) error {
	stale := false
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := thereIs(t, c.Name)
		if stale = !reflect.DeepEqual(cur, c.now()); err != nil || !stale {
			return err
		}
		return tables.untold.Delete(t, c.Name)
	})
	if err == nil && stale {
		return errStale
	}
	return err
}

func (n *Node) untold() (all []hostChange) {
	if err := n.store.View(func(t *store.Tx) error {
		return tables.untold.Each(t, func(_ string, c hostChange) error {
			all = append(all, c)
			return nil
		})
	}); err != nil {
		n.event("look for changes of hosts: " + err.Error())
	}
	return all
}

// takeHost carries out a change that the other array tells of, and puts what is new where it
// belongs.
func (n *Node) takeHost(c hostChange, place *book, at *turn) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	if err := c.check(); err != nil {
		return err
	}
	if place != nil {
		if err := place.check(); err != nil {
			return err
		}
	}
	if err := n.hostsTold.take(at); err != nil {
		return err
	}
	ours := n.describedHere()
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := thereIs(t, c.Name)
		switch {
		case err != nil:
			return err
		case reflect.DeepEqual(cur, c.now()):
			return n.placesWith(t, place)
		case c.meets(cur):
			return orElse(c.apply(t, ours), n.placesWith(t, place))
		case c.removes():
			return nil // it is another one, and stays
		case c.was() == hostState{}:
			reason := array.HostExists
			if cur.set != nil {
				reason = array.SetExists
			}
			return array.Errorf(array.Exists, "%s exists already on array %s, and is another one", c.what(), n.cfg.Name).Because(reason)
		}
		return array.Errorf(array.Conflict, "%s is another one on array %s", c.what(), n.cfg.Name)
	})
	if err != nil {
		return err
	}
	return finished(n.exports.rebuild())
}

// everywhere is for changes that a person makes here.
func everywhere(array.VolumeID, array.GroupID) bool { return true }

// describedHere returns what reports whether this array says what a volume is exported to, or
// a group, if there is no volume: what it has of the others may be out of date, and the array
// that changes hosts knows better.
func (n *Node) describedHere() func(array.VolumeID, array.GroupID) bool {
	volumes, groups := map[array.VolumeID]bool{}, map[array.GroupID]bool{} // of others
	n.mu.RLock()
	defer n.mu.RUnlock()
	for id, r := range n.groups {
		if r.rec.Private || r.g.MayServe() {
			continue
		}
		groups[id] = true
		for v := range r.units {
			volumes[v] = true
		}
	}
	return func(v array.VolumeID, id array.GroupID) bool { return !volumes[v] && !groups[id] }
}

// apply stores a change, unless it is one that hosts must not see. A host is not removed
// that sees something, as far as ours says that this array knows.
func (c hostChange) apply(t *store.Tx, ours func(array.VolumeID, array.GroupID) bool) error {
	switch {
	case c.removes():
		if err := hostUnused(t, c.Name, ours); err != nil {
			return err
		}
		if set, is := strings.CutPrefix(c.Name, "set:"); is {
			return tables.sets.Delete(t, set)
		}
		return tables.hosts.Delete(t, c.Name)
	case c.NowSet != nil:
		if err := tables.sets.Put(t, c.NowSet.Name, *c.NowSet); err != nil {
			return err
		}
		return checkSight(t)
	}
	if err := tables.hosts.Each(t, func(_ string, o Host) error {
		for _, i := range c.Now.Initiators {
			if o.Name != c.Name && slices.Contains(o.Initiators, i) {
				return array.Errorf(array.Exists, "initiator %s is already used by host %s", i, o.Name).Because(array.InitiatorTaken)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := tables.hosts.Put(t, c.Name, *c.Now); err != nil {
		return err
	}
	return checkSight(t)
}

// hostUnused refuses to remove a host or, as set:name, a set that sees something, or a host
// that is in a set.
func hostUnused(t *store.Tx, name string, ours func(array.VolumeID, array.GroupID) bool) error {
	if err := notSeen(t, name, ours); err != nil {
		return err
	}
	if err := notNear(t, name, ours); err != nil {
		return err
	}
	return tables.sets.Each(t, func(_ string, s HostSet) error {
		if slices.Contains(s.Hosts, name) {
			return array.Errorf(array.Conflict, "host %s is in host set %s: 'removehostset -f %s %s' takes it out", name, s.Name, s.Name, name).Because(array.InSet)
		}
		return nil
	})
}

// keepUntold takes hosts and sets out of a description that are known better here: the other
// array has not heard of their change yet.
func keepUntold(t *store.Tx, d *Description) error {
	for i, h := range d.Hosts {
		c, ok, err := tables.untold.Get(t, h.Name)
		if err != nil {
			return err
		}
		if ok && c.Now != nil && c.Was != nil && (reflect.DeepEqual(*c.Was, h) || c.Maybe.Has(hostState{host: &h}.state())) {
			d.Hosts[i] = *c.Now
		}
	}
	for i, s := range d.Sets {
		c, ok, err := tables.untold.Get(t, "set:"+s.Name)
		if err != nil {
			return err
		}
		if ok && c.NowSet != nil && c.WasSet != nil && (reflect.DeepEqual(*c.WasSet, s) || c.Maybe.Has(hostState{set: &s}.state())) {
			d.Sets[i] = *c.NowSet
		}
	}
	return nil
}
