// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

const (
	// maxComment and maxDescriptor bound what people write of objects, as the incumbent.
	maxComment    = 511
	maxDescriptor = 254
	// maxSetMembers bounds a set.
	maxSetMembers = 1024
)

// descriptors are a host's, by option.
type descriptors map[string]*string

func descriptorFlags(a *args) descriptors {
	d := descriptors{}
	for _, name := range []string{"os", "loc", "ip", "model", "contact", "comment"} {
		d[name] = a.flags.String(name, "", "")
	}
	return d
}

func (d descriptors) given(a *args) bool { return len(d.set(a)) > 0 }

// set returns the options that were given, empty or not.
func (d descriptors) set(a *args) map[string]string {
	given := map[string]string{}
	for name, text := range d {
		if a.given(name) {
			given[name] = *text
		}
	}
	return given
}

// of sets what the options say; an empty one takes it away.
func (d descriptors) of(a *args, h *Host) {
	given := d.set(a)
	if len(given) == 0 {
		return
	}
	h.Descriptors = maps.Clone(h.Descriptors)
	if h.Descriptors == nil {
		h.Descriptors = map[string]string{}
	}
	for name, text := range given {
		if h.Descriptors[name] = text; text == "" {
			delete(h.Descriptors, name)
		}
	}
	if len(h.Descriptors) == 0 {
		h.Descriptors = nil
	}
}

// groupOfHostSet is command.of for commands on a set of hosts: a shared group that is
// exported to it, whose description has it.
func groupOfHostSet(n *Node, words []string) *running {
	for _, w := range words[1:] {
		if groups, err := n.seenBySet(w); err == nil && len(groups) > 0 {
			return n.runningShared(groups[0])
		}
	}
	return nil
}

// seenBySet returns the shared groups with volumes that are exported to a set.
func (n *Node) seenBySet(set string) (groups []array.GroupID, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.vluns.From(t, vlunsOf("set:"+set), func(_ string, l VLUN) error {
			v, ok, err := tables.vvs.Get(t, store.Key(uint64(l.Volume)))
			if err == nil && ok && n.shares(v.Group) && !slices.Contains(groups, v.Group) {
				groups = append(groups, v.Group)
			}
			return err
		})
	})
	slices.Sort(groups)
	return groups, err
}

func createHostSet(n *Node, ctx context.Context, a *args) error {
	a.domainFlag()
	add, comment := a.flags.Bool("add", false, ""), a.flags.String("comment", "", "")
	if err := a.parse(1, 1+maxSetMembers); err != nil {
		return err
	}
	name, hosts := a.rest[0], a.rest[1:]
	return n.changeHostSet(ctx, name, a.place(), func(t *store.Tx, was *HostSet) (*HostSet, error) {
		switch {
		case was != nil && !*add:
			return nil, array.Errorf(array.Exists, "host set %s exists already", name).Because(array.SetExists)
		case was == nil && *add:
			return nil, array.Errorf(array.NotFound, "host set %s does not exist", name).Because(array.NoHostSet)
		}
		s := HostSet{Name: name}
		if was != nil {
			s = *was
			s.Hosts = slices.Clone(was.Hosts)
		}
		if a.given("comment") {
			s.Comment = *comment
		}
		for _, h := range hosts {
			if err := hostExists(t, h); err != nil {
				return nil, err
			}
			if slices.Contains(s.Hosts, h) {
				return nil, array.Errorf(array.Exists, "host %s is in host set %s already", h, name).Because(array.MemberTwice)
			}
			s.Hosts = append(s.Hosts, h)
		}
		return &s, nil
	})
}

// check finds what can't be meant.
func (s *HostSet) check() error {
	switch {
	case !validName(s.Name):
		return array.Errorf(array.Invalid, "host set name %q: %s", s.Name, nameWanted)
	case len(s.Comment) > maxComment:
		return array.Errorf(array.Invalid, "host set %s: the comment has %d bytes, want at most %d", s.Name, len(s.Comment), maxComment)
	case len(s.Hosts) > maxSetMembers:
		return array.Errorf(array.Full, "host set %s would have %d hosts, want at most %d", s.Name, len(s.Hosts), maxSetMembers)
	}
	return nil
}

func removeHostSet(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1+maxSetMembers); err != nil {
		return err
	}
	name, hosts := a.rest[0], a.rest[1:]
	return n.changeHostSet(ctx, name, newPlace{}, func(t *store.Tx, was *HostSet) (*HostSet, error) {
		if was == nil {
			return nil, array.Errorf(array.NotFound, "host set %s does not exist", name).Because(array.NoHostSet)
		}
		if len(hosts) == 0 {
			if err := hostUnused(t, "set:"+name, everywhere); err != nil {
				return nil, err
			}
			return nil, sure("removehostset removes host set %s on both arrays; its hosts stay", name)
		}
		s := *was
		for _, h := range hosts {
			if !slices.Contains(s.Hosts, h) {
				return nil, array.Errorf(array.NotFound, "host %s is not in host set %s", h, name).Because(array.NoMember)
			}
			s.Hosts = slices.DeleteFunc(slices.Clone(s.Hosts), func(o string) bool { return o == h })
		}
		return &s, sure("removehostset takes %s out of host set %s, with what they see by way of it", strings.Join(hosts, ", "), name)
	})
}

// notSeen refuses to remove a host, or set:name, that sees something which is ours.
func notSeen(t *store.Tx, host string, ours func(array.VolumeID, array.GroupID) bool) error {
	return tables.vluns.From(t, vlunsOf(host), func(_ string, l VLUN) error {
		if !ours(l.Volume, 0) {
			return nil
		}
		what := host
		if !strings.HasPrefix(host, "set:") {
			what = "host " + host
		}
		return array.Errorf(array.Conflict, "%s sees LUN %d: remove its VLUNs first", what, l.LUN).Because(array.Exported)
	})
}

// changeHostSet makes a set of hosts what f makes of it, nil for none, here and at the other
// array, or, if that refuses it, nowhere. If volumes of groups are exported to it, that is a
// change of these groups' descriptions too.
func (n *Node) changeHostSet(ctx context.Context, name string, place newPlace, f func(t *store.Tx, was *HostSet) (*HostSet, error)) error {
	c := hostChange{Name: "set:" + name}
	if err := n.store.View(func(t *store.Tx) error {
		was, err := thereIs(t, c.Name)
		if err != nil {
			return err
		}
		c.WasSet = was.set
		c.NowSet, err = f(t, was.set)
		return err
	}); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	groups, err := n.seenBySet(name)
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		return n.changeHosts(ctx, c, place)
	}
	for _, id := range groups {
		if _, err := n.mayChange(id); err != nil {
			return err
		}
	}
	var mark *hostChange
	for i, id := range groups {
		change, undo := func(*store.Tx) error { return nil }, func(*store.Tx) error { return nil }
		if i == 0 { // then the set is changed; the other descriptions have it
			undo = func(t *store.Tx) (err error) {
				mark, err = n.noteRefused(t, c)
				return err
			}
			change = func(t *store.Tx) (err error) {
				if err := c.apply(t, everywhere); err != nil {
					return err
				}
				mark, err = n.noteUntold(t, c)
				return err
			}
		}
		if err := n.changeGroupOr(ctx, id, change, undo); err != nil {
			return err
		}
	}
	if mark == nil || !n.reachable() {
		return nil
	}
	if err := n.tellHost(ctx, *mark); err != nil && !errors.As(err, new(unanswered)) {
		return err // which has taken it with the groups
	}
	return nil
}

// tellAllSets notes that the other array is to hear of all sets of hosts.
func tellAllSets(t *store.Tx) error {
	var sets []HostSet
	if err := tables.sets.Each(t, func(_ string, s HostSet) error {
		sets = append(sets, s)
		return nil
	}); err != nil {
		return err
	}
	for _, s := range sets {
		c := hostChange{Name: "set:" + s.Name, NowSet: &s}
		if err := tables.untold.Put(t, c.Name, c); err != nil {
			return err
		}
	}
	return nil
}
