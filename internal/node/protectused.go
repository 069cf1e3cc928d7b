// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// protectUsed is protectVVSet where hosts use volumes of the set: a group is made, and all are
// admitted to it with what they hold and the exports that they have, while hosts go on. What is
// in the way of one is in the way of all; then there is no group. If this array dies in the middle
// it goes on at its next start. If the other one is lost there may be a group with a part of the
// volumes, which is told and taken back when that one is there again.
func (n *Node) protectUsed(ctx context.Context, a *args, f *founding, set string, vvs []VV, hosts []string, proximity string, wait bool) error {
	if err := n.preferUsed(f, vvs, hosts, proximity); err != nil {
		return err
	}
	name := f.d.Group.Name
	if _, err := n.findGroup(name); err == nil { // no other group is to get the volumes
		return array.Errorf(array.Exists, "Remote Copy group %s exists already", name).Because(array.GroupExists)
	}
	names := make([]string, len(vvs))
	for i, v := range vvs {
		names[i] = v.Name
	}
	undo := append(outAgain(names, name), []string{"removercopygroup", "-f", name})
	p, err := n.pledge(a, intoGroup(names, name), undo)
	if err != nil {
		return err
	}
	if err := n.found(ctx, f); err != nil {
		return errors.Join(err, n.released(p))
	}
	joins, _, err := n.admitAll(ctx, a, set, name)
	if err == nil {
		err = n.released(p)
	} else if e := n.unprotects(context.WithoutCancel(ctx), name, p); e != nil {
		err = errors.Join(err, n.leftHalf(name), e)
	}
	if err != nil || !wait {
		return err
	}
	a.waits("remote_copy_sync", name, func(ctx context.Context) error {
		for _, v := range joins {
			if _, err := n.joinWork(v)(ctx, a.tell); err != nil {
				return err
			}
		}
		r, err := n.findGroup(name)
		if err != nil {
			return err
		}
		return n.synced(a, r)(ctx)
	})
	return nil
}

// unprotects takes it all back, now or as soon as that can be: if this array dies meanwhile it goes
// on at its next start.
func (n *Node) unprotects(ctx context.Context, name string, p *pledge) error {
	err := n.takesBack(p)
	if err != nil {
		n.leaveTo(p, err) // which tries it again, and then this
		return err
	}
	if err = n.unprotect(ctx, name); err == nil {
		return n.released(p)
	}
	n.leaveTo(p, err)
	return err
}

// leftHalf says what becomes of a group that has a part of a set.
func (n *Node) leftHalf(name string) error {
	_, d, err := n.groupNow(name)
	if err != nil {
		return err
	}
	has := "no volumes yet"
	if len(d.volumes()) > 0 {
		has = "a part of the volumes"
	}
	return array.Errorf(array.Conflict, "group %s is made and has %s: array %s takes that back as soon as that can be, and showalert says what is in the way", name, has, n.cfg.Name)
}

// preferUsed notes which array's paths hosts prefer. They see the volumes already: an export more
// is another command's.
func (n *Node) preferUsed(f *founding, vvs []VV, hosts []string, proximity string) error {
	if len(hosts) == 0 && proximity == "" {
		return nil
	}
	if err := f.mayPrefer(hosts, proximity); err != nil {
		return err
	}
	for _, host := range hosts {
		if err := n.store.View(func(t *store.Tx) error { return hostExists(t, host) }); err != nil {
			return err
		}
		for _, v := range vvs {
			d, err := n.describe(v.Group)
			if err != nil {
				return err
			}
			seen, err := n.seenBy(d, v, host)
			if err != nil {
				return err
			}
			if !seen {
				return array.Errorf(array.Conflict, "-host %s: volume %s is not exported to it, and others of the set are in use already: 'createvlun %s auto %s' first", host, v.Name, v.Name, host)
			}
		}
		if proximity != "" {
			f.d.Group.Near = append(f.d.Group.Near, Nearness{host, proximity})
		}
	}
	return nil
}

// seenBy reports whether a host, or each of a set of hosts, sees a volume.
func (n *Node) seenBy(d Description, v VV, host string) (seen bool, err error) {
	err = n.store.View(func(t *store.Tx) error {
		hosts := []string{host}
		if set, is := strings.CutPrefix(host, "set:"); is {
			s, _, err := tables.sets.Get(t, set)
			if err != nil {
				return err
			}
			hosts = s.Hosts
		}
		seen = len(hosts) > 0
		for _, h := range hosts {
			sees := false
			for _, l := range d.VLUNs {
				if l.Volume != v.ID {
					continue
				}
				set, is := strings.CutPrefix(l.Host, "set:")
				s, _, err := tables.sets.Get(t, set)
				if err != nil {
					return err
				}
				sees = sees || l.Host == h || l.Host == host || is && slices.Contains(s.Hosts, h)
			}
			seen = seen && sees
		}
		return nil
	})
	return seen, err
}

// unprotect takes back what protectUsed did until something was in the way: the volumes stay
// what they were, and the group goes.
func (n *Node) unprotect(ctx context.Context, name string) error {
	r, d, err := n.groupNow(name)
	if err != nil {
		return err
	}
	var first *VV
	for _, v := range d.volumes() {
		if v.Joins == nil {
			first = &v
			continue
		}
		if err := n.endsJoin(ctx, v, func(string, ...any) error { return nil }); err != nil {
			return fmt.Errorf("volume %s: %w", v.Joins.Name, err)
		}
	}
	if first != nil {
		if err := n.staysAlone(ctx, *first, r); err != nil {
			return fmt.Errorf("volume %s: %w", first.Name, err)
		}
		if r, err = n.findGroup(name); err != nil { // another one, without volumes
			return err
		}
	}
	return n.removeGroup(ctx, r)
}
