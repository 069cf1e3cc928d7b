// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// Hosts are defined on both arrays by one command. A change says what the host was, so
// that the other array can tell whether it means the same host; one that it could not be
// told of is kept, and told when it answers.

// hostChange makes a host another one: Was is nil if there was none, Now if there is none
// any more.
type hostChange struct {
	Name string `json:"name"`
	Was  *Host  `json:"was,omitempty"`
	Now  *Host  `json:"now,omitempty"`
}

// changeHosts carries a change out here and at the other array, or, if that refuses it,
// nowhere.
func (n *Node) changeHosts(ctx context.Context, c hostChange) error {
	if c.Now != nil {
		if err := c.Now.check(); err != nil {
			return err
		}
	}
	var mark *hostChange
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := hostIn(t, c.Name)
		switch {
		case err != nil:
			return err
		case c.Was == nil && cur != nil:
			return array.Errorf(array.Exists, "host %s exists already", c.Name).Because(array.HostExists)
		case !reflect.DeepEqual(cur, c.Was):
			return array.Errorf(array.Conflict, "host %s was changed meanwhile", c.Name)
		}
		if err := c.apply(t); err != nil {
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
	back := hostChange{Name: c.Name, Was: c.Now, Now: c.Was}
	if e := n.store.Update(func(t *store.Tx) error {
		if err := back.apply(t); err != nil {
			return err
		}
		_, err := n.noteUntold(t, back)
		return err
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
	if ok {
		c.Was = old.Was // what the other array knows
	}
	if reflect.DeepEqual(c.Was, c.Now) {
		return nil, tables.untold.Delete(t, c.Name)
	}
	return &c, tables.untold.Put(t, c.Name, c)
}

// tellHost tells the other array of a change, which it does not have to be told again.
func (n *Node) tellHost(ctx context.Context, c hostChange) error {
	if _, err := n.ask(ctx, request{Host: &c}); err != nil {
		return err
	}
	return n.store.Update(func(t *store.Tx) error {
		now, ok, err := tables.untold.Get(t, c.Name)
		switch {
		case err != nil || !ok:
			return err
		case reflect.DeepEqual(now.Now, c.Now):
			return tables.untold.Delete(t, c.Name)
		}
		now.Was = c.Now // it was changed again meanwhile
		return tables.untold.Put(t, c.Name, now)
	})
}

// tellHosts tells the other array of all changes it has not heard of. refused is what it
// said of those it does not take.
func (n *Node) tellHosts(ctx context.Context, refused map[string]string) {
	all := n.untold()
	if len(all) == 0 || !n.command.TryLock() { // the command may be telling it
		return
	}
	defer n.command.Unlock()
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
		}
		key, text := "host "+c.Name, ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && refused[key] != text {
			n.warn(fmt.Sprintf("host %s was changed here while the other array did not answer, which does not take it: %v", c.Name, err))
		}
		refused[key] = text
	}
}

// errStale says that a change is not what there is any more.
var errStale = errors.New("stale")

// forgetStale forgets a change after which the other array described the host.
func (n *Node) forgetStale(c hostChange) error {
	stale := false
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := hostIn(t, c.Name)
		if stale = !reflect.DeepEqual(cur, c.Now); err != nil || !stale {
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

// takeHost carries out a change that the other array tells of.
func (n *Node) takeHost(c hostChange) error {
	n.taking.Lock()
	defer n.taking.Unlock()
	if c.Now != nil && c.Now.Name != c.Name {
		return array.Errorf(array.Invalid, "a change of host %q to %q", c.Name, c.Now.Name)
	}
	if c.Now != nil {
		if err := c.Now.check(); err != nil {
			return err
		}
	}
	err := n.store.Update(func(t *store.Tx) error {
		cur, err := hostIn(t, c.Name)
		switch {
		case err != nil || reflect.DeepEqual(cur, c.Now):
			return err
		case reflect.DeepEqual(cur, c.Was) || cur == nil:
			return c.apply(t)
		case c.Now == nil:
			return nil // it is another one, and stays
		case c.Was == nil:
			return array.Errorf(array.Exists, "host %s exists already on array %s, and is another one", c.Name, n.cfg.Name).Because(array.HostExists)
		}
		return array.Errorf(array.Conflict, "host %s is another one on array %s", c.Name, n.cfg.Name)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

// apply stores a change, unless it is one that hosts must not see.
func (c hostChange) apply(t *store.Tx) error {
	if c.Now == nil {
		if err := hostUnused(t, c.Name); err != nil {
			return err
		}
		return tables.hosts.Delete(t, c.Name)
	}
	if err := tables.hosts.Each(t, func(_ string, o Host) error {
		for _, i := range c.Now.Initiators {
			if o.Name != c.Name && slices.Contains(o.Initiators, i) {
				return array.Errorf(array.Exists, "initiator %s belongs to host %s already", i, o.Name).Because(array.InitiatorTaken)
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

// hostUnused refuses to remove a host that sees something or is in a set.
func hostUnused(t *store.Tx, name string) error {
	if err := tables.vluns.From(t, vlunsOf(name), func(_ string, v VLUN) error {
		return array.Errorf(array.Conflict, "host %s sees LUN %d: remove its VLUNs first", name, v.LUN).Because(array.Exported)
	}); err != nil {
		return err
	}
	if err := notNear(t, name); err != nil {
		return err
	}
	return tables.sets.Each(t, func(_ string, s HostSet) error {
		if slices.Contains(s.Hosts, name) {
			return array.Errorf(array.Conflict, "host %s is in host set %s: 'removehostset -f %s %s' takes it out", name, s.Name, s.Name, name).Because(array.InSet)
		}
		return nil
	})
}

// keepUntold takes hosts out of a description that are known better here: the other
// array has not heard of their change yet.
func (n *Node) keepUntold(d *Description) error {
	return n.store.View(func(t *store.Tx) error {
		for i, h := range d.Hosts {
			c, ok, err := tables.untold.Get(t, h.Name)
			if err != nil {
				return err
			}
			if ok && c.Now != nil && c.Was != nil && reflect.DeepEqual(*c.Was, h) {
				d.Hosts[i] = *c.Now
			}
		}
		return nil
	})
}
