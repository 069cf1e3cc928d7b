// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

func volumeCommands() []command {
	return []command{
		{name: "createvv", usage: "createvv <cpg> <vv> <size>[m|g|t]", about: "creates a virtual volume", run: createVV},
		{name: "removevv", usage: "removevv [-f] <vv>", about: "removes an unexported volume that is in no Remote Copy group", run: removeVV},
		{name: "createhost", usage: "createhost [-persona n] [-chap user:secret] <host> <iqn>...", about: "defines a host by its iSCSI names", run: createHost},
		{name: "removehost", usage: "removehost <host>", about: "removes a host that has no VLUN", run: removeHost},
		{name: "createhostset", usage: "createhostset <set> <host>...", about: "defines a set of hosts", run: createHostSet},
		{name: "createvlun", usage: "createvlun <vv> <lun|auto> <host|set:hosts>", about: "exports a volume, through both arrays if it is in a Remote Copy group", of: groupOfVolume, run: createVLUN},
		{name: "removevlun", usage: "removevlun <vv> <lun> <host|set:hosts>", about: "ends an export", of: groupOfVolume, run: removeVLUN},
	}
}

// parseSize reads the incumbent's sizes: MiB without a unit.
func parseSize(s string) (int64, error) {
	unit := int64(1 << 20)
	num := strings.ToLower(s)
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}} {
		if n, ok := strings.CutSuffix(num, u.suffix); ok {
			num, unit = n, u.size
			break
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 1 || n > (64<<40)/unit {
		return 0, array.Errorf(array.Invalid, "size %q: want a number of MiB, or with m, g or t, up to 64t", s)
	}
	return n * unit, nil
}

// nextID returns a number never given before by this array.
func (n *Node) nextID(t *store.Tx) (uint32, error) {
	c, _, err := tables.count.Get(t, "ids")
	if err != nil {
		return 0, err
	}
	return uint32(c + 1), tables.count.Put(t, "ids", c+1)
}

func createVV(n *Node, _ context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	size, err := parseSize(a.rest[2])
	if err != nil {
		return err
	}
	v := VV{Name: a.rest[1], CPG: a.rest[0], Size: size}
	if !validName(v.Name) {
		return array.Errorf(array.Invalid, "volume name %q: want 1 to 31 letters, digits, '.', '_' or '-'", v.Name)
	}
	if n.cpgs[v.CPG] == nil {
		return array.Errorf(array.NotFound, "CPG %s does not exist", v.CPG)
	}
	var g RCGroup
	err = n.store.Update(func(t *store.Tx) error {
		if _, ok, err := n.vvNamed(t, v.Name); err != nil || ok {
			return orElse(err, array.Errorf(array.Exists, "volume %s exists already", v.Name))
		}
		id, err := n.nextID(t)
		if err != nil {
			return err
		}
		v.ID = array.MakeVolumeID(n.cfg.SystemID, id)
		v.Group = array.MakeGroupID(n.cfg.SystemID, id)
		g = RCGroup{ID: v.Group, Name: v.Name, Home: n.cfg.SystemID, Private: true, Version: 1, Founding: nonce(), Founder: array.SideA}
		if err := tables.groups.Put(t, store.Key(uint64(g.ID)), g); err != nil {
			return err
		}
		return tables.vvs.Put(t, store.Key(uint64(v.ID)), v)
	})
	if err != nil {
		return err
	}
	_, err = n.openGroup(g, []VV{v})
	return err
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (n *Node) vvNamed(t *store.Tx, name string) (found VV, ok bool, err error) {
	err = tables.vvs.Each(t, func(_ string, v VV) error {
		if v.Name == name {
			found, ok = v, true
		}
		return nil
	})
	return found, ok, err
}

// vv returns the volume of that name, and its group.
func (n *Node) vv(name string) (v VV, g RCGroup, err error) {
	err = n.store.View(func(t *store.Tx) error {
		var ok bool
		if v, ok, err = n.vvNamed(t, name); err != nil {
			return err
		}
		if !ok {
			return array.Errorf(array.NotFound, "volume %s does not exist", name)
		}
		g, _, err = tables.groups.Get(t, store.Key(uint64(v.Group)))
		return err
	})
	return v, g, err
}

func (n *Node) exported(v VV) (bool, error) {
	d, err := n.describe(v.Group)
	for _, l := range d.VLUNs {
		if l.Volume == v.ID {
			return true, err
		}
	}
	return false, err
}

func removeVV(n *Node, _ context.Context, a *args) error {
	a.flags.Bool("f", false, "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	v, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	if !g.Private {
		return array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s: dismiss it first", v.Name, g.Name)
	}
	if ex, err := n.exported(v); err != nil || ex {
		return orElse(err, array.Errorf(array.Conflict, "volume %s is exported: remove its VLUNs first", v.Name))
	}
	return n.dropGroup(v.Group)
}

// maxPersona is the highest host persona of the incumbent's list.
const maxPersona = 15

func createHost(n *Node, _ context.Context, a *args) error {
	persona := a.flags.Int("persona", 2, "")
	chap := a.flags.String("chap", "", "")
	if err := a.parse(2, 65); err != nil {
		return err
	}
	h := Host{Name: a.rest[0], Persona: *persona, Initiators: a.rest[1:]}
	if h.Persona < 1 || h.Persona > maxPersona {
		return array.Errorf(array.Invalid, "-persona %d: want 1 to %d", h.Persona, maxPersona)
	}
	if !validName(h.Name) {
		return array.Errorf(array.Invalid, "host name %q: want 1 to 31 letters, digits, '.', '_' or '-'", h.Name)
	}
	for _, i := range h.Initiators {
		if len(i) > 223 || !strings.HasPrefix(i, "iqn.") && !strings.HasPrefix(i, "eui.") && !strings.HasPrefix(i, "naa.") {
			return array.Errorf(array.Invalid, "initiator name %q: want an iSCSI name (iqn., eui. or naa.) of at most 223 bytes", i)
		}
	}
	if *chap != "" {
		user, secret, ok := strings.Cut(*chap, ":")
		if !ok || user == "" || len(secret) < 12 || len(secret) > 64 {
			return array.Errorf(array.Invalid, "-chap: want user:secret with a secret of 12 to 64 characters")
		}
		h.CHAPUser, h.CHAPSecret = user, secret
	}
	err := n.store.Update(func(t *store.Tx) error {
		if err := tables.hosts.Each(t, func(_ string, o Host) error {
			if o.Name == h.Name {
				return array.Errorf(array.Exists, "host %s exists already", h.Name)
			}
			for _, i := range h.Initiators {
				for _, j := range o.Initiators {
					if i == j {
						return array.Errorf(array.Exists, "initiator %s belongs to host %s already", i, o.Name)
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Put(t, h.Name, h)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

func removeHost(n *Node, _ context.Context, a *args) error {
	if err := a.parse(1, 1); err != nil {
		return err
	}
	name := a.rest[0]
	err := n.store.Update(func(t *store.Tx) error {
		if _, ok, err := tables.hosts.Get(t, name); err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", name))
		}
		if err := tables.vluns.Each(t, func(_ string, v VLUN) error {
			if v.Host == name {
				return array.Errorf(array.Conflict, "host %s sees LUN %d: remove its VLUNs first", name, v.LUN)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tables.sets.Each(t, func(_ string, s HostSet) error {
			if slices.Contains(s.Hosts, name) {
				return array.Errorf(array.Conflict, "host %s is in host set %s", name, s.Name)
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Delete(t, name)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

func createHostSet(n *Node, _ context.Context, a *args) error {
	if err := a.parse(2, 129); err != nil {
		return err
	}
	s := HostSet{Name: a.rest[0], Hosts: a.rest[1:]}
	err := n.store.Update(func(t *store.Tx) error {
		if _, ok, err := tables.sets.Get(t, s.Name); err != nil || ok {
			return orElse(err, array.Errorf(array.Exists, "host set %s exists already", s.Name))
		}
		for _, h := range s.Hosts {
			if _, ok, err := tables.hosts.Get(t, h); err != nil || !ok {
				return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", h))
			}
		}
		if err := tables.sets.Put(t, s.Name, s); err != nil {
			return err
		}
		return checkSight(t)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

func createVLUN(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	v, _, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	host := a.rest[2]
	l := VLUN{Volume: v.ID, Host: host}
	err = n.changeGroup(ctx, v.Group, func(t *store.Tx) error {
		if err := hostExists(t, host); err != nil {
			return err
		}
		s, err := loadSight(t)
		if err != nil {
			return err
		}
		taken := s.takenFor(host)
		for _, o := range s.vluns {
			if o.Host == host {
				taken[o.LUN] = true
			}
			if o.Host == host && o.Volume == v.ID {
				return array.Errorf(array.Exists, "volume %s is exported to %s already, as LUN %d", v.Name, host, o.LUN)
			}
		}
		if a.rest[1] == "auto" {
			for taken[l.LUN] {
				l.LUN++
			}
		} else {
			x, err := strconv.ParseUint(a.rest[1], 10, 16)
			if err != nil || x > 16383 {
				return array.Errorf(array.Invalid, "LUN %q: want 0 to 16383, or auto", a.rest[1])
			}
			l.LUN = uint16(x)
		}
		if taken[l.LUN] {
			return array.Errorf(array.Exists, "LUN %d of %s is taken", l.LUN, host)
		}
		if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
			return err
		}
		return checkSight(t)
	})
	if err == nil {
		a.printf("volume %s is LUN %d of %s\n", v.Name, l.LUN, host)
	}
	return err
}

func hostExists(t *store.Tx, host string) error {
	if s, ok := strings.CutPrefix(host, "set:"); ok {
		if _, ok, err := tables.sets.Get(t, s); err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "host set %s does not exist", s))
		}
		return nil
	}
	if _, ok, err := tables.hosts.Get(t, host); err != nil || !ok {
		return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", host))
	}
	return nil
}

func removeVLUN(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	v, _, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	x, err := strconv.ParseUint(a.rest[1], 10, 16)
	if err != nil {
		return array.Errorf(array.Invalid, "LUN %q: want a number", a.rest[1])
	}
	l := VLUN{LUN: uint16(x), Volume: v.ID, Host: a.rest[2]}
	return n.changeGroup(ctx, v.Group, func(t *store.Tx) error {
		o, ok, err := tables.vluns.Get(t, vlunKey(l))
		if err != nil || !ok || o.Volume != v.ID {
			return orElse(err, array.Errorf(array.NotFound, "volume %s is not LUN %d of %s", v.Name, l.LUN, l.Host))
		}
		return tables.vluns.Delete(t, vlunKey(l))
	})
}

// changeGroup changes what belongs to a group: the change is made in the store, the
// other array is asked whether it can follow, and if not, it is taken back.
func (n *Node) changeGroup(ctx context.Context, id array.GroupID, f func(*store.Tx) error) error {
	old, err := n.describe(id)
	if err != nil {
		return err
	}
	served, err := n.mayChange(id)
	if err != nil {
		return err
	}
	err = n.store.Update(func(t *store.Tx) error {
		if err := f(t); err != nil {
			return err
		}
		g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		g.Version, g.Change = g.Version+1, nonce()
		g.Epoch, g.Term = served.Epoch, served.Term
		return groupsPut(t, g)
	})
	if err != nil {
		return err
	}
	now, err := n.described(id)
	if err != nil {
		return err
	}
	if !now.Group.Private && n.pair != nil && n.pair.Reachable() {
		_, err := n.ask(ctx, request{Take: &now})
		switch {
		case errors.As(err, new(unanswered)):
			// It may have followed or not. The change stands, and is told again.
			n.event(fmt.Sprintf("group %s was changed; the other array did not answer and hears of it when it does", now.Group.Name))
		case err != nil:
			back := old
			back.Group = now.Group.withContentOf(old.Group)
			if e := n.store.Update(func(t *store.Tx) error { return putDescription(t, now, back, missing(now.VVs, old.VVs)) }); e != nil {
				return fmt.Errorf("take back a change the other array refused: %w", e)
			}
			if e := n.apply(back, nil); e != nil {
				return fmt.Errorf("take back a change the other array refused: %w", e)
			}
			return err
		}
	}
	return n.apply(now, missing(old.VVs, now.VVs))
}

// servesIn is how long a change of a group waits for it to be served here.
const servesIn = 3 * time.Second

// mayChange refuses to change a group that is not served here: the array that
// serves it may be changing it too. It returns in which epoch and term it is.
func (n *Node) mayChange(id array.GroupID) (array.Position, error) {
	n.mu.RLock()
	r := n.groups[id]
	out, isOut := n.unopened[id]
	n.mu.RUnlock()
	if isOut {
		return array.Position{}, out.err()
	}
	if r == nil || r.rec.Private {
		return array.Position{}, nil
	}
	i, err := r.g.Info()
	// A group that was just made, or handed over, serves in a moment.
	for end := time.Now().Add(servesIn); err == nil && !i.Serving && i.Record.Members.Has(i.Self) && time.Now().Before(end); i, err = r.g.Info() {
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil && !i.Serving {
		err = array.Errorf(array.Conflict, "group %s is not served by array %s now (%s): change it where it is served", r.rec.Name, n.cfg.Name, i.Reason)
	}
	return array.Position{Epoch: i.View.Epoch, Term: i.End.Term}, err
}

// missing returns the volumes of a that are not in b.
func missing(a, b []VV) []VV {
	in := map[array.VolumeID]bool{}
	for _, v := range b {
		in[v.ID] = true
	}
	var m []VV
	for _, v := range a {
		if !in[v.ID] {
			m = append(m, v)
		}
	}
	return m
}
