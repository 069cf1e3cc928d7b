// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

func volumeCommands() []command {
	return []command{
		{name: "createvv", right: people.Make, usage: "createvv [-tpvv|-full|-tdvv] [-compr] [-usr_aw <percent>] [-usr_al <percent>] [-comment <text>] [-setkv <key>=<value>] <cpg> <vv> <size>[m|g|t]", about: "creates a virtual volume: thin, fully provisioned or deduplicated, compressed with -compr; -usr_aw and -usr_al warn, and refuse writes, when so much of it is allocated", run: createVV},
		{
			name: "setvv", right: people.Change, usage: "setvv [-name <new>] [-comment <text>] [-usr_aw <percent>] [-usr_al <percent>] [-exp <time>[d|h]] [-retain <time>[d|h]] [-setkv <key>=<value>] [-setkvifnotexist <key>=<value>] [-clrkey <key>] [-vvset <set>] [-novvset <set>] <vv>",
			about: "changes a volume: its name, what people wrote of it, its allocation warning and limit (0 is none), a snapshot's times, the sets that it is in", of: groupOfLastVolume, run: setVV,
		},
		{name: "growvv", right: people.Change, usage: "growvv <vv> <size>[m|g|t]", about: "makes a volume larger by so much while hosts use it", of: groupOfVolume, run: growVV},
		{name: "removevv", right: people.Change, usage: "removevv [-f] <vv>", about: "removes an unexported snapshot, or volume that is in no Remote Copy group", of: groupOfLastVolume, run: removeVV},
		{name: "createhost", right: people.Make, rightOf: rightToHost, secret: []string{"chap"}, usage: "createhost [-iscsi] [-persona n] [-chap user:secret] [-os|-loc|-ip|-model|-contact|-comment <text>] [-domain <domain>] [-add] <host> <iqn>...", about: "defines a host by its iSCSI names, on both arrays; -add gives one that exists more of them", run: createHost},
		{name: "sethost", right: people.Change, secret: []string{"chap"}, usage: "sethost [-persona n] [-chap user:secret|-nochap] [-os|-loc|-ip|-model|-contact|-comment <text>] <host>", about: "changes a host, on both arrays", run: setHost},
		{name: "removehost", right: people.Change, usage: "removehost [-f] <host> [<iqn>...]", about: "removes a host that has no VLUN, or some of its iSCSI names, on both arrays", run: removeHost},
		{name: "createhostset", right: people.Make, rightOf: rightToHost, usage: "createhostset [-add] [-comment <text>] [-domain <domain>] <set> [<host>...]", about: "defines a set of hosts; -add gives one that exists more of them, or another comment", of: groupOfHostSet, run: createHostSet},
		{name: "removehostset", right: people.Change, usage: "removehostset [-f] <set> [<host>...]", about: "removes a set of hosts to which nothing is exported, or some of its hosts", of: groupOfHostSet, run: removeHostSet},
		{name: "createvvset", right: people.Change, usage: "createvvset [-add] [-comment <text>] [-domain <domain>] <set> [<vv>...]", about: "defines a set of volumes; -add gives one that exists more of them, or another comment", run: createVVSet},
		{name: "removevvset", right: people.Change, usage: "removevvset [-f] <set> [<vv>...]", about: "removes a set of volumes, or some volumes from it; the volumes stay", run: removeVVSet},
		{name: "createvlun", right: people.Make, usage: "createvlun <vv> <lun|auto> <host|set:hosts>", about: "exports a volume, through both arrays if it is in a Remote Copy group", of: groupOfVolume, run: createVLUN},
		{name: "removevlun", right: people.Change, usage: "removevlun [-f] <vv> <lun> <host|set:hosts>", about: "ends an export", of: groupOfVolume, run: removeVLUN},
	}
}

// maxVVSize is how large a volume may be made, and grow.
const maxVVSize = 64 << 40

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
	if err != nil || n < 1 || n > maxVVSize/unit {
		return 0, array.Errorf(array.Invalid, "size %q: want a number of MiB, or with m, g or t, from 1 MiB to 64t", s)
	}
	return n * unit, nil
}

// storing are the options that say how a volume's pages are stored.
type storing struct{ tpvv, full, tdvv, compr *bool }

func storingFlags(a *args) storing {
	flag := func(name string) *bool { return a.flags.Bool(name, false, "") }
	return storing{flag("tpvv"), flag("full"), flag("tdvv"), flag("compr")}
}

// of sets what the options say.
func (s storing) of(v *VV) error {
	count := 0
	for how, is := range map[volume.Provisioning]*bool{volume.Thin: s.tpvv, volume.Full: s.full, volume.Dedup: s.tdvv} {
		if *is {
			v.Provisioning = how
			count++
		}
	}
	if v.Compress = *s.compr; count > 1 {
		return array.Errorf(array.Invalid, "volume %s: want one of -tpvv, -full and -tdvv", v.Name)
	}
	return nil
}

func createVV(n *Node, _ context.Context, a *args) error {
	how, alloc, comment, keys := storingFlags(a), allocFlags(a), a.flags.String("comment", "", ""), pairFlags(a)
	if err := a.parse(3, 3); err != nil {
		return err
	}
	size, err := parseSize(a.rest[2])
	if err != nil {
		return in("volume", a.rest[1], err)
	}
	v := VV{Name: a.rest[1], CPG: a.rest[0], Size: size}
	if err := how.of(&v); err != nil {
		return err
	}
	if err := alloc.of(&v); err != nil {
		return err
	}
	if err := v.setComment(*comment); err != nil {
		return err
	}
	if len(*keys) > 0 {
		v.Keys = map[string]string{}
	}
	if err := keys.set("setkv", v.Name, v.Keys, true); err != nil {
		return err
	}
	return n.createVolume(v)
}

// createVolume makes a volume on this array alone that people named.
func (n *Node) createVolume(v VV) error {
	if !validName(v.Name) {
		return array.Errorf(array.Invalid, "volume name %q: %s", v.Name, nameWanted)
	}
	if n.cpgs[v.CPG] == nil {
		return n.noCPG(v.CPG)
	}
	if err := n.roomFor(v); err != nil {
		return err
	}
	return n.createPrivate(v)
}

// roomForAll is roomFor for volumes that the other array has made or will.
func (n *Node) roomForAll(vvs []VV) error {
	for _, v := range vvs {
		if p := n.cpgs[v.CPG]; p.Volume(v.ID) != nil {
			continue // it has its room
		}
		if err := n.roomFor(v); err != nil {
			return fmt.Errorf("array %s: %w", n.cfg.Name, err)
		}
	}
	return nil
}

// roomFor refuses a volume whose size can't be set aside, before anything of it is made.
func (n *Node) roomFor(v VV) error {
	if err := n.cpgs[v.CPG].MaySetAside(v.Provisioning, v.Size); err != nil {
		return fmt.Errorf("create volume %s in CPG %s: %w", v.Name, v.CPG, err)
	}
	return nil
}

// createPrivate makes a volume on this array alone.
func (n *Node) createPrivate(v VV) error {
	var g RCGroup
	if err := n.store.Update(func(t *store.Tx) (err error) { g, v, err = n.putPrivate(t, v); return err }); err != nil {
		return err
	}
	// What goes wrong is the caller's to hear, not everybody's: nothing is left of it.
	if _, err := n.startGroup(g, []VV{v}); err != nil {
		return errors.Join(err, n.dropGroup(g.ID))
	}
	return nil
}

// putPrivate gives a volume, and the group that it is alone in, their ids and stores them.
func (n *Node) putPrivate(t *store.Tx, v VV) (g RCGroup, _ VV, err error) {
	if err := n.nameFree(t, v.Name); err != nil {
		return g, v, err
	}
	id, err := n.nextID(t)
	if err != nil {
		return g, v, err
	}
	v.ID = array.MakeVolumeID(n.cfg.SystemID, id)
	v.Group = array.MakeGroupID(n.cfg.SystemID, id)
	g = RCGroup{ID: v.Group, Name: v.Name, Home: n.cfg.SystemID, Private: true, Version: 1, Founding: nonce(), Founder: array.SideA}
	if err := putFirst(t, g); err != nil {
		return g, v, err
	}
	return g, v, tables.vvs.Put(t, store.Key(uint64(v.ID)), v)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (n *Node) vvNamed(t *store.Tx, name string) (found VV, ok bool, err error) {
	err = tables.vvs.With(t, byName, name, func(_ string, v VV) error {
		found, ok = v, true
		return nil
	})
	return found, ok, err
}

// vv returns the volume of that name, and its group, for commands.
func (n *Node) vv(name string) (v VV, g RCGroup, err error) {
	if v, g, err = n.vvShown(name); err == nil {
		err = v.isPoint()
	}
	return v, g, err
}

// vvShown is vv for those who only look.
func (n *Node) vvShown(name string) (v VV, g RCGroup, err error) {
	err = n.store.View(func(t *store.Tx) error {
		var ok bool
		if v, ok, err = n.vvNamed(t, name); err != nil {
			return err
		}
		if !ok {
			return array.Errorf(array.NotFound, "volume %s does not exist", name).Because(array.NoVolume)
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

// growVV makes a volume larger by an entry of its group's order; what the arrays say of
// its size follows.
func growVV(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(2, 2); err != nil {
		return err
	}
	v, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	more, err := parseSize(a.rest[1])
	switch {
	case err != nil:
		return in("volume", v.Name, err)
	case v.Of != 0:
		return array.Errorf(array.Invalid, "%s is a snapshot, which never changes", v.Name).Because(array.IsSnapshot)
	case more > maxVVSize-v.Size:
		return array.Errorf(array.Invalid, "volume %s has %d MiB: it can't grow by %d, up to 64t is possible", v.Name, v.Size>>20, more>>20).Because(array.TooLarge)
	}
	if err := n.notJoining(v); err != nil {
		return err
	}
	if err := n.noCopy(g.ID); err != nil {
		return err
	}
	if _, err := n.mayChange(g.ID); err != nil {
		return err
	}
	r := n.running(g.ID)
	if r == nil {
		return array.Errorf(array.Unavailable, "volume %s is not open", v.Name)
	}
	size := v.Size + more
	if err := whileServed(func() error { return r.g.Grow(v.ID, size) }); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return n.changeGroup(ctx, g.ID, func(t *store.Tx) error {
		now, ok, err := tables.vvs.Get(t, store.Key(uint64(v.ID)))
		if err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "volume %s does not exist", v.Name).Because(array.NoVolume))
		}
		now.Size = max(now.Size, size)
		return tables.vvs.Put(t, store.Key(uint64(v.ID)), now)
	})
}

func removeVV(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1); err != nil {
		return err
	}
	v, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	if v.Of != 0 {
		if n.now().Before(v.Retain) {
			return array.Errorf(array.Conflict, "snapshot %s is retained until %s", v.Name, v.Retain.Format(timeForPeople)).Because(array.Retained)
		}
		if err := n.mayRemove(v); err != nil {
			return err
		}
		if err := sure("removevv removes snapshot %s for good", v.Name); err != nil {
			return err
		}
		return n.removeVVs(ctx, g.ID, []VV{v})
	}
	if !g.Private {
		return array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s: dismiss it first", v.Name, g.Name).Because(array.InGroup)
	}
	if err := n.mayRemove(v); err != nil {
		return err
	}
	if err := n.noDrills(v); err != nil {
		return err
	}
	if err := sure("removevv removes volume %s and its data for good", v.Name); err != nil {
		return err
	}
	return n.dropGroup(v.Group)
}

// mayRemove says what keeps a volume or snapshot.
func (n *Node) mayRemove(v VV) error {
	if ex, err := n.exported(v); err != nil || ex {
		return orElse(err, array.Errorf(array.Conflict, "volume %s is exported: remove its VLUNs first", v.Name).Because(array.Exported))
	}
	if v.Copy.underWay() {
		return array.Errorf(array.Conflict, "volume %s is being made a copy of %s: 'createvvcopy -halt' ends that", v.Name, v.Copy.Name).Because(array.CopyTarget)
	}
	if v.Joins != nil {
		return n.notJoining(v)
	}
	if err := n.unscheduled(v); err != nil {
		return err
	}
	if err := n.unleft(v); err != nil {
		return err
	}
	if err := v.inNoSet(); err != nil {
		return err
	}
	return n.unneeded([]VV{v})
}

// inNoSet refuses to take a volume out of its sets in passing.
func (v VV) inNoSet() error {
	if len(v.Sets) == 0 {
		return nil
	}
	return array.Errorf(array.Conflict, "volume %s is in volume set %s: 'removevvset -f %s %s' takes it out", v.Name, v.Sets[0], v.Sets[0], v.Name).Because(array.InSet)
}

func createVLUN(n *Node, ctx context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	if set, is := strings.CutPrefix(a.rest[0], "set:"); is {
		return array.Errorf(array.Invalid, "createvlun %.40s: a set of volumes is exported volume by volume: 'showvvset %.40s' lists them", a.rest[0], set)
	}
	v, g, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	host := a.rest[2]
	l := VLUN{Volume: v.ID, Host: host}
	there := map[uint16]bool{}
	if a.rest[1] == "auto" && !g.Private {
		if there, err = n.takenThere(ctx, host); err != nil {
			return err
		}
	}
	err = n.changeGroup(ctx, v.Group, func(t *store.Tx) error {
		if err := mayExport(t, v); err != nil {
			return err
		}
		if err := hostExists(t, host); err != nil {
			return err
		}
		s, err := loadHosts(t)
		if err != nil {
			return err
		}
		taken := s.takenIn(t, host)
		if err := tables.vluns.With(t, byVolume, store.Key(uint64(v.ID)), func(_ string, o VLUN) error {
			if o.Host == host {
				return array.Errorf(array.Exists, "volume %s is exported to %s already, as LUN %d", v.Name, host, o.LUN).Because(array.LUNTaken)
			}
			return nil
		}); err != nil {
			return err
		}
		if a.rest[1] == "auto" {
			for l.LUN < maxLUN && (taken[l.LUN] || there[l.LUN]) {
				l.LUN++
			}
		} else {
			x, err := strconv.ParseUint(a.rest[1], 10, 16)
			if err != nil || x > maxLUN {
				return array.Errorf(array.Invalid, "volume %s: LUN %q: want 0 to 16383, or auto", v.Name, a.rest[1])
			}
			l.LUN = uint16(x)
		}
		if taken[l.LUN] {
			return array.Errorf(array.Exists, "LUN %d of %s is taken", l.LUN, host).Because(array.LUNTaken)
		}
		if err := tables.vluns.Put(t, vlunKey(l), l); err != nil {
			return err
		}
		return checkVLUNs(t, []VLUN{l})
	})
	if err == nil {
		a.printf("volume %s is LUN %d of %s\n", v.Name, l.LUN, host)
	}
	return err
}

// mayExport refuses a volume whose content is neither the one nor the other.
func mayExport(t *store.Tx, v VV) error {
	v, ok, err := tables.vvs.Get(t, store.Key(uint64(v.ID)))
	switch {
	case err != nil || !ok:
		return orElse(err, array.Errorf(array.NotFound, "the volume does not exist any more").Because(array.NoVolume))
	case v.Copy.State == copyFailed:
		return array.Errorf(array.Conflict, "volume %s holds part of a copy of %s, which was not finished (%s): copy to it again, or remove it", v.Name, v.Copy.Name, v.Copy.Why).Because(array.CopyTarget)
	case v.Copy.partial():
		return array.Errorf(array.Conflict, "volume %s is being made a copy of %s: see createvvcopy", v.Name, v.Copy.Name).Because(array.CopyTarget)
	case v.Joins != nil || v.Stays != nil:
		return notJoining(t, v)
	case v.Taking != 0:
		return array.Errorf(array.Conflict, "volume %s is being made what a snapshot was: see promotesv", v.Name).Because(array.Copied)
	}
	return nil
}

func hostExists(t *store.Tx, host string) error {
	if s, ok := strings.CutPrefix(host, "set:"); ok {
		if _, ok, err := tables.sets.Get(t, s); err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "host set %s does not exist", s).Because(array.NoHostSet))
		}
		return nil
	}
	if _, ok, err := tables.hosts.Get(t, host); err != nil || !ok {
		return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", host).Because(array.NoHost))
	}
	return nil
}

func removeVLUN(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(3, 3); err != nil {
		return err
	}
	v, _, err := n.vv(a.rest[0])
	if err != nil {
		return err
	}
	x, err := strconv.ParseUint(a.rest[1], 10, 16)
	if err != nil {
		return array.Errorf(array.Invalid, "volume %s: LUN %q: want 0 to 16383", v.Name, a.rest[1])
	}
	l := VLUN{LUN: uint16(x), Volume: v.ID, Host: a.rest[2]}
	return n.changeGroup(ctx, v.Group, func(t *store.Tx) error {
		o, ok, err := tables.vluns.Get(t, vlunKey(l))
		if err != nil || !ok || o.Volume != v.ID {
			return orElse(err, array.Errorf(array.NotFound, "volume %s is not LUN %d of %s: 'showvlun -v %s' lists its exports", v.Name, l.LUN, l.Host, v.Name).Because(array.NoVLUN))
		}
		if err := sure("removevlun takes volume %s, LUN %d, away from %s", v.Name, l.LUN, l.Host); err != nil {
			return err
		}
		return tables.vluns.Delete(t, vlunKey(l))
	})
}
