// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
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
	switch {
	case !validName(name):
		return array.Errorf(array.Invalid, "host set name %q: %s", name, nameWanted)
	case len(*comment) > maxComment:
		return array.Errorf(array.Invalid, "host set %s: the comment has %d bytes, want at most %d", name, len(*comment), maxComment)
	}
	return n.changeHostSet(ctx, name, func(t *store.Tx) error {
		s, ok, err := tables.sets.Get(t, name)
		switch {
		case err != nil:
			return err
		case ok && !*add:
			return array.Errorf(array.Exists, "host set %s exists already", name).Because(array.SetExists)
		case !ok && *add:
			return array.Errorf(array.NotFound, "host set %s does not exist", name).Because(array.NoHostSet)
		}
		s.Name = name
		if a.given("comment") {
			s.Comment = *comment
		}
		for _, h := range hosts {
			if err := hostExists(t, h); err != nil {
				return err
			}
			if slices.Contains(s.Hosts, h) {
				return array.Errorf(array.Exists, "host %s is in host set %s already", h, name).Because(array.MemberTwice)
			}
			s.Hosts = append(s.Hosts, h)
		}
		if len(s.Hosts) > maxSetMembers {
			return array.Errorf(array.Full, "host set %s would have %d hosts, want at most %d", name, len(s.Hosts), maxSetMembers)
		}
		return tables.sets.Put(t, name, s)
	})
}

func removeHostSet(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1+maxSetMembers); err != nil {
		return err
	}
	name, hosts := a.rest[0], a.rest[1:]
	return n.changeHostSet(ctx, name, func(t *store.Tx) error {
		s, ok, err := tables.sets.Get(t, name)
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "host set %s does not exist", name).Because(array.NoHostSet))
		}
		if len(hosts) == 0 {
			if err := notSeen(t, "set:"+name); err != nil {
				return err
			}
			if err := notNear(t, "set:"+name); err != nil {
				return err
			}
			if err := sure("removehostset removes host set %s; its hosts stay", name); err != nil {
				return err
			}
			return tables.sets.Delete(t, name)
		}
		for _, h := range hosts {
			if !slices.Contains(s.Hosts, h) {
				return array.Errorf(array.NotFound, "host %s is not in host set %s", h, name).Because(array.NoMember)
			}
			s.Hosts = slices.DeleteFunc(slices.Clone(s.Hosts), func(o string) bool { return o == h })
		}
		if err := sure("removehostset takes %s out of host set %s, with what they see by way of it", strings.Join(hosts, ", "), name); err != nil {
			return err
		}
		return tables.sets.Put(t, name, s)
	})
}

// notSeen refuses to remove a set of hosts that sees something.
func notSeen(t *store.Tx, host string) error {
	return tables.vluns.From(t, vlunsOf(host), func(_ string, l VLUN) error {
		return array.Errorf(array.Conflict, "%s sees LUN %d: remove its VLUNs first", host, l.LUN).Because(array.Exported)
	})
}

// changeHostSet changes a set of hosts. If volumes of groups are exported to it, that is a
// change of these groups' descriptions, and the other array hears of it with them.
func (n *Node) changeHostSet(ctx context.Context, name string, f func(*store.Tx) error) error {
	groups, err := n.seenBySet(name)
	if err != nil {
		return err
	}
	checked := func(t *store.Tx) error {
		if err := f(t); err != nil {
			return err
		}
		return checkSight(t)
	}
	if len(groups) == 0 {
		if err := n.store.Update(checked); err != nil {
			return err
		}
		return n.exports.rebuild()
	}
	for _, id := range groups {
		if _, err := n.mayChange(id); err != nil {
			return err
		}
	}
	for i, id := range groups {
		change := checked
		if i > 0 { // the set is changed already; the description has it
			change = func(*store.Tx) error { return nil }
		}
		if err := n.changeGroup(ctx, id, change); err != nil {
			return err
		}
	}
	return nil
}
