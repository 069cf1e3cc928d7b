// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// Nearness is what a host or, as set:name, a host set prefers.
type Nearness struct {
	Host string `json:"host"`
	// Proximity is one of proximityNames.
	Proximity string `json:"proximity"`
}

// maxNear bounds a group's list.
const maxNear = 1024

// proximityOf reads a proximity as people write it.
func proximityOf(name string) (group.Proximity, bool) {
	switch name {
	case "primary":
		return group.NearHome, true
	case "secondary":
		return group.NearOther, true
	case "all":
		return group.NearBoth, true
	}
	return 0, false
}

// homeSide returns the side of the group's home array.
func (n *Node) homeSide(r RCGroup) array.Side {
	if r.Home == n.cfg.SystemID {
		return n.side()
	}
	return n.side().Other()
}

// groupOfHosts is command.of for commands that name a group and hosts.
func groupOfHosts(n *Node, words []string) *running {
	var names []string
	for k := 1; k < len(words); k++ {
		switch {
		case words[k] == "-proximity":
			k++
		case !strings.HasPrefix(words[k], "-"):
			names = append(names, words[k])
		}
	}
	if len(names) == 0 {
		return nil
	}
	group, _ := n.groupAndHosts(names)
	return lastGroup(n, []string{group})
}

// groupAndHosts splits what a command names: scripts for the incumbent have the group
// first or last, as its documents do.
func (n *Node) groupAndHosts(names []string) (group string, hosts []string) {
	end := len(names) - 1
	if _, err := n.findGroup(names[0]); err != nil {
		if _, err := n.findGroup(names[end]); err == nil {
			return names[end], names[:end]
		}
	}
	return names[0], names[1:]
}

func admitHost(n *Node, ctx context.Context, a *args) error {
	proximity := a.flags.String("proximity", "all", "")
	if err := a.parse(2, -1); err != nil {
		return err
	}
	if _, ok := proximityOf(*proximity); !ok {
		return array.Errorf(array.Invalid, "admitrcopyhost -proximity %q: want primary, secondary or all", *proximity)
	}
	group, hosts := n.groupAndHosts(a.rest)
	return n.changeNear(ctx, group, hosts, func(g *RCGroup, t *store.Tx, host string) error {
		if !g.Policies.ActiveActive {
			return array.Errorf(array.Conflict, "group %s does not have the policy active_active, so one array serves it at a time: 'setrcopygroup pol active_active %s' first", g.Name, g.Name).Because(array.NotActive)
		}
		if err := hostThere(t, host); err != nil {
			return err
		}
		g.Near = slices.DeleteFunc(g.Near, func(x Nearness) bool { return x.Host == host })
		if len(g.Near) >= maxNear {
			return array.Errorf(array.Full, "group %s has %d hosts with a proximity, which is all it can have", g.Name, maxNear)
		}
		g.Near = append(g.Near, Nearness{host, *proximity})
		return nil
	})
}

// hostThere says if there is no host, or set:name, of a name.
func hostThere(t *store.Tx, host string) error {
	if set, is := strings.CutPrefix(host, "set:"); is {
		if _, ok, err := tables.sets.Get(t, set); err != nil || !ok {
			return array.Errorf(array.NotFound, "host set %s does not exist", set).Because(array.NoHostSet)
		}
		return nil
	}
	if _, ok, err := tables.hosts.Get(t, host); err != nil || !ok {
		return array.Errorf(array.NotFound, "host %s does not exist", host).Because(array.NoHost)
	}
	return nil
}

// notNear refuses to remove a host, or set:name, that has a proximity in a group that is ours.
func notNear(t *store.Tx, host string, ours func(array.VolumeID, array.GroupID) bool) error {
	return tables.groups.Each(t, func(_ string, g RCGroup) error {
		if ours(0, g.ID) && slices.ContainsFunc(g.Near, func(x Nearness) bool { return x.Host == host }) {
			return array.Errorf(array.Conflict, "%s has a proximity in Remote Copy group %s: 'dismissrcopyhost -f %s %s' first", host, g.Name, g.Name, host)
		}
		return nil
	})
}

func dismissHost(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(2, -1); err != nil {
		return err
	}
	group, hosts := n.groupAndHosts(a.rest)
	return n.changeNear(ctx, group, hosts, func(g *RCGroup, _ *store.Tx, host string) error {
		before := len(g.Near)
		g.Near = slices.DeleteFunc(g.Near, func(x Nearness) bool { return x.Host == host })
		if len(g.Near) == before {
			return array.Errorf(array.NotFound, "host %s has no proximity in group %s", host, g.Name).Because(array.NoMember)
		}
		return sure("dismissrcopyhost lets %s prefer the home array's paths of group %s again", host, g.Name)
	})
}

// changeNear changes a group's list for some hosts, on both arrays, all or none.
func (n *Node) changeNear(ctx context.Context, name string, hosts []string, change func(*RCGroup, *store.Tx, string) error) error {
	r, err := n.findGroup(name)
	if err != nil {
		return err
	}
	return n.changeGroup(ctx, r.rec.ID, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(r.rec.ID)))
		if err != nil {
			return err
		}
		g.Near = slices.Clone(g.Near)
		for _, h := range hosts {
			if err := change(&g, t, h); err != nil {
				return err
			}
		}
		return groupsPut(t, g)
	})
}

// nearOf is which paths a group was told that its hosts prefer.
type nearOf struct {
	g    *group.Group
	near map[string]group.Proximity
}

// tellProximities tells the groups which paths their hosts prefer, where that changed.
// e.making is held.
func (e *exports) tellProximities(s *sight) {
	e.n.mu.RLock()
	open := make(map[array.GroupID]*group.Group, len(e.n.groups))
	for id, r := range e.n.groups {
		open[id] = r.g
	}
	e.n.mu.RUnlock()
	maps.DeleteFunc(e.near, func(id array.GroupID, _ nearOf) bool { return open[id] == nil })
	for id, g := range open {
		e.tellProximity(s, s.groups[id], id, g)
	}
}

// tellProximity does so for one group, nil if it is not open.
func (e *exports) tellProximity(s *sight, rec RCGroup, id array.GroupID, g *group.Group) {
	if g == nil {
		delete(e.near, id)
		return
	}
	near := map[string]group.Proximity{}
	for _, x := range rec.Near {
		p, _ := proximityOf(x.Proximity)
		for _, i := range s.initiators(x.Host) {
			near[i] = p
		}
	}
	told := e.near[id]
	if told.g == g && maps.Equal(near, told.near) || told.g != g && len(near) == 0 {
		return
	}
	if e.near == nil {
		e.near = map[array.GroupID]nearOf{}
	}
	e.near[id] = nearOf{g, near}
	g.SetHosts(maps.Clone(near))
}
