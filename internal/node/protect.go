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

// protectVVSet makes a group of a whole set of volumes by one command: the group, its
// volumes with the same identity on both arrays, their exports with the same LUNs, its
// policies, and which array's paths hosts prefer; all of it, or nothing.
func protectVVSet(n *Node, ctx context.Context, a *args) error {
	policies := a.flags.String("pol", "", "")
	period := a.flags.String("period", "", "")
	hosts := a.flags.String("host", "", "")
	proximity := a.flags.String("proximity", "", "")
	wait := a.flags.Bool("wait", false, "")
	if err := a.parse(3, 3); err != nil {
		return err
	}
	set, name := a.rest[0], a.rest[1]
	target, mode, _ := strings.Cut(a.rest[2], ":")
	g, err := n.newGroup(name, target, mode)
	if err != nil {
		return err
	}
	if *period != "" {
		if g.Period == 0 {
			return array.Errorf(array.Conflict, "group %s is synchronous and has no period: want -period with %s:periodic", name, target).Because(array.NotPeriodic)
		}
		if g.Period, err = parsePeriod(*period); err != nil {
			return err
		}
	}
	if *policies != "" {
		if err := n.setPolicies(&g, strings.Split(*policies, ",")); err != nil {
			return err
		}
	}
	f := founding{d: Description{Group: g}, place: a.place()}
	vvs, used, err := n.protectable(ctx, set, g)
	if err != nil {
		return err
	}
	if used {
		return n.protectUsed(ctx, a, &f, set, vvs, list(*hosts), *proximity, *wait)
	}
	f.from = vvs
	if *hosts != "" || *proximity != "" {
		if err := n.exportAll(ctx, &f, list(*hosts), *proximity); err != nil {
			return err
		}
	}
	if err := n.found(ctx, &f); err != nil {
		return err
	}
	for _, v := range f.d.VVs {
		for _, l := range f.d.VLUNs {
			if l.Volume == v.ID {
				a.printf("volume %s is LUN %d of %s\n", v.Name, l.LUN, l.Host)
			}
		}
	}
	if *wait {
		r, err := n.findGroup(name)
		if err != nil {
			return err
		}
		a.then = func(ctx context.Context) error {
			if _, err := n.mayChange(r.rec.ID); err != nil { // it serves in a moment
				return err
			}
			return n.synced(a, r)(ctx)
		}
	}
	return nil
}

// list splits what has commas between.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// protectable returns the volumes of a set, of which each can become one of a group, and whether
// hosts use some of them.
func (n *Node) protectable(ctx context.Context, set string, into RCGroup) (vvs []VV, used bool, err error) {
	s, err := n.volumeSet(set)
	if err != nil || s == nil {
		return nil, false, orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", set).Because(array.NoVolumeSet))
	}
	switch there, err := n.onlyThereInSet(ctx, set); {
	case err != nil:
		return nil, false, err
	case there != "":
		return nil, false, n.setElsewhere(s, there, into)
	case len(s.Members) == 0:
		return nil, false, n.emptySet(set)
	}
	for _, name := range s.Members {
		v, g, err := n.vv(name)
		switch {
		case err != nil:
			return nil, false, err
		case !g.Private:
			return nil, false, array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s already", name, g.Name).Because(array.InOtherGroup)
		case v.Of != 0:
			return nil, false, array.Errorf(array.Invalid, "%s is a snapshot, which is protected with its volume", name).Because(array.IsSnapshot)
		}
		alone := v
		alone.Sets = nil // it stays in them
		vvs, used = append(vvs, v), used || n.inUse(alone)
	}
	if used { // then all are admitted with what they have
		return vvs, true, nil
	}
	for _, v := range vvs {
		if err := n.unwritten(v); err != nil {
			return nil, false, err
		}
		v.Sets = nil
		if err := n.mayRemove(v); err != nil {
			return nil, false, err
		}
	}
	return vvs, false, nil
}

// exportAll gives hosts all volumes of a group that is to be made, at LUNs that are free
// on both arrays, one after the other.
func (n *Node) exportAll(ctx context.Context, f *founding, hosts []string, proximity string) error {
	if err := f.mayPrefer(hosts, proximity); err != nil {
		return err
	}
	for _, host := range hosts {
		if err := n.exportTo(ctx, f, host); err != nil {
			return err
		}
		if proximity != "" {
			f.d.Group.Near = append(f.d.Group.Near, Nearness{host, proximity})
		}
	}
	return n.store.View(func(t *store.Tx) error { return f.d.addHosts(t) })
}

// mayPrefer judges which hosts a command names, and which paths they are to prefer.
func (f *founding) mayPrefer(hosts []string, proximity string) error {
	if _, ok := proximityOf(proximity); proximity != "" && !ok {
		return array.Errorf(array.Invalid, "-proximity %q: want primary, secondary or all", proximity)
	}
	switch {
	case len(hosts) == 0:
		return array.Errorf(array.Invalid, "-proximity %s: say -host with the hosts that it is for", proximity)
	case len(hosts) > maxNear:
		return array.Errorf(array.Invalid, "-host: %d hosts: want at most %d", len(hosts), maxNear)
	case proximity != "" && !f.d.Group.Policies.ActiveActive:
		return array.Errorf(array.Conflict, "group %s does not have the policy active_active, so one array serves it at a time: say -pol active_active with -proximity", f.d.Group.Name).Because(array.NotActive)
	}
	for i, host := range hosts {
		if slices.Contains(hosts[:i], host) {
			return array.Errorf(array.Invalid, "-host: %s is there twice", host)
		}
	}
	return nil
}

func (n *Node) exportTo(ctx context.Context, f *founding, host string) error {
	there, err := n.takenThere(ctx, host)
	if err != nil {
		return err
	}
	return n.store.View(func(t *store.Tx) error {
		if err := hostExists(t, host); err != nil {
			return err
		}
		s, err := loadHosts(t)
		if err != nil {
			return err
		}
		s.vluns = f.d.VLUNs // the hosts before this one may share initiators with it
		taken := s.takenFor(host)
		maps.Copy(taken, s.takenIn(t, host))
		lun := uint16(0)
		for _, v := range f.from {
			for lun <= maxLUN && (taken[lun] || there[lun]) {
				lun++
			}
			if lun > maxLUN {
				return array.Errorf(array.Full, "host %s has no LUN left for volume %s", host, v.Name)
			}
			f.d.VLUNs = append(f.d.VLUNs, VLUN{LUN: lun, Volume: v.ID, Host: host})
			lun++
		}
		return nil
	})
}
