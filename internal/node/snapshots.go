// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

func snapshotCommands() []command {
	return []command{
		{name: "createsv", right: people.Make, usage: "createsv [-ro] [-exp <time>[d|h]] [-retain <time>[d|h]] [-comment <text>] <sv> <vv>", about: "makes a snapshot, read-only with -ro; otherwise a volume on this array that begins as one", of: groupOfParent, run: createSV},
		{name: "creategroupsv", right: people.Make, usage: "creategroupsv -ro [-exp <time>[d|h]] [-retain <time>[d|h]] [-comment <text>] <sv>:<vv> [<sv>:<vv>...]", about: "makes read-only snapshots of volumes of one group at the same moment", of: groupOfFirstPair, run: createGroupSV},
		{name: "promotesv", right: people.Change, usage: "promotesv <sv>", about: "makes a snapshot's volume, which must not be exported, what it was then", of: groupOfLastVolume, run: promoteSV},
	}
}

// groupOfParent is command.of for createsv. A volume made from a snapshot belongs to the
// array that is asked.
func groupOfParent(n *Node, words []string) *running {
	if !slices.Contains(words, "-ro") {
		return nil
	}
	return groupOfLastVolume(n, words)
}

// groupOfLastVolume is command.of for commands that name a volume last.
func groupOfLastVolume(n *Node, words []string) *running {
	return groupOfVolume(n, []string{"", words[len(words)-1]})
}

func groupOfFirstPair(n *Node, words []string) *running {
	_, of, _ := strings.Cut(words[len(words)-1], ":")
	return groupOfVolume(n, []string{"", of})
}

// maxRetention is the longest expiry and retention, as the incumbent's.
const maxRetention = 1825 * 24 * time.Hour

// parseAge reads a time of days or, with h, hours.
func parseAge(what, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	unit := 24 * time.Hour
	num := strings.ToLower(s)
	if h, ok := strings.CutSuffix(num, "h"); ok {
		num, unit = h, time.Hour
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(num, "d"), 10, 64)
	if err != nil || n < 1 || n > int64(maxRetention/unit) {
		return 0, array.Errorf(array.Invalid, "%s %q: want days, or hours with h, from 1 to %d days", what, s, int(maxRetention.Hours())/24)
	}
	return time.Duration(n) * unit, nil
}

// life reads a snapshot's times.
func life(exp, retain string, now time.Time) (VV, error) {
	e, err := parseAge("-exp", exp)
	if err != nil {
		return VV{}, err
	}
	r, err := parseAge("-retain", retain)
	if err != nil {
		return VV{}, err
	}
	if e > 0 && r > e {
		return VV{}, array.Errorf(array.Invalid, "-retain %s is longer than -exp %s", retain, exp)
	}
	v := VV{Made: now.UTC()}
	if e > 0 {
		v.Expires = v.Made.Add(e)
	}
	if r > 0 {
		v.Retain = v.Made.Add(r)
	}
	return v, nil
}

// pairOf is a snapshot to be made, by names.
type pairOf struct{ sv, vv string }

// wish is what a command that makes snapshots asks for.
type wish struct {
	ro    bool
	pairs []pairOf
	life  VV // with the snapshots' times
}

// wished reads the words of createsv or creategroupsv. Names may have parts in them that
// stand for the volume or the time, see fillIn.
func (n *Node) wished(a *args) (w wish, err error) {
	ro := a.flags.Bool("ro", false, "")
	a.flags.Bool("f", false, "") // scripts for the incumbent say it with -retain
	exp, retain, comment := a.flags.String("exp", "", ""), a.flags.String("retain", "", ""), a.flags.String("comment", "", "")
	low, high := 2, 2
	if a.cmd.name == "creategroupsv" {
		low, high = 1, -1
	}
	if err := a.parse(low, high); err != nil {
		return w, err
	}
	now := n.now()
	if w.life, err = life(*exp, *retain, now); err != nil {
		return w, err
	}
	if err := w.life.setComment(*comment); err != nil {
		return w, err
	}
	if w.ro = *ro; a.cmd.name == "createsv" {
		w.pairs = []pairOf{{a.rest[0], a.rest[1]}}
		return w, n.fillIn(w.pairs, now)
	}
	if !*ro {
		return w, array.Errorf(array.Invalid, "creategroupsv: snapshots of a group are read-only: say -ro; createsv makes volumes from them")
	}
	named := map[string]bool{}
	for _, word := range a.rest {
		sv, vv, ok := strings.Cut(word, ":")
		if !ok || named[vv] {
			return w, array.Errorf(array.Invalid, "creategroupsv %q: want <sv>:<vv>, each volume once", word)
		}
		w.pairs, named[vv] = append(w.pairs, pairOf{sv, vv}), true
	}
	return w, n.fillIn(w.pairs, now)
}

func createSV(n *Node, ctx context.Context, a *args) error {
	w, err := n.wished(a)
	if err != nil {
		return err
	}
	v, sv, vv := w.life, w.pairs[0].sv, w.pairs[0].vv
	if w.ro {
		return n.makeSnapshots(ctx, w.pairs, v)
	}
	parent, _, err := n.vv(vv)
	if err != nil {
		return err
	}
	if !validName(sv) || len(sv) > 28 {
		return array.Errorf(array.Invalid, "volume name %q: want 1 to 28 letters, digits, '.', '_' or '-'", sv)
	}
	if _, _, err := n.vv(sv); err == nil {
		return array.Errorf(array.Exists, "volume %s exists already", sv).Because(array.VolumeExists)
	}
	if parent.Of == 0 { // through a read-only snapshot of this moment
		if err := n.makeSnapshots(ctx, []pairOf{{sv + ".ro", vv}}, VV{Made: v.Made}); err != nil {
			return err
		}
		if parent, _, err = n.vv(sv + ".ro"); err != nil {
			return err
		}
	}
	if n.awaits(parent) {
		return array.Errorf(array.NotFound, "snapshot %s is not on array %s: make the volume on the other one", parent.Name, n.cfg.Name)
	}
	v.Name, v.CPG, v.Size, v.Base = sv, parent.CPG, parent.Size, parent.ID
	v.Provisioning, v.Compress = parent.Provisioning, parent.Compress
	if v.Provisioning == volume.Full {
		v.Provisioning = volume.Thin
	}
	return n.createPrivate(v)
}

func createGroupSV(n *Node, ctx context.Context, a *args) error {
	w, err := n.wished(a)
	if err != nil {
		return err
	}
	return n.makeSnapshots(ctx, w.pairs, w.life)
}

// makeSnapshots makes read-only snapshots of volumes of one group. Their names are
// taken, on both arrays, before the entry that makes them; if that fails they are
// given back.
func (n *Node) makeSnapshots(ctx context.Context, pairs []pairOf, like VV) error {
	_, g, err := n.vv(pairs[0].vv)
	if err != nil {
		return err
	}
	r := n.running(g.ID)
	if r == nil {
		_, err := n.mayChange(g.ID)
		return orElse(err, array.Errorf(array.Unavailable, "volume %s is not open", pairs[0].vv))
	}
	var named []VV
	var snaps []group.Snapshot
	err = n.changeGroup(ctx, g.ID, func(t *store.Tx) error {
		named, snaps = nil, nil
		for _, p := range pairs {
			v, err := n.nameSnapshot(t, p, g, like)
			if err != nil {
				return err
			}
			named, snaps = append(named, v), append(snaps, group.Snapshot{Of: v.Of, ID: v.ID})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := whileServed(func() error { return r.g.MakeSnapshots(snaps) }); err != nil {
		if e := n.removeVVs(ctx, g.ID, named); e != nil {
			n.event(fmt.Sprintf("snapshot %s was not made and can't be taken off the list: %v", named[0].Name, e))
		}
		return err
	}
	for _, v := range named {
		if err := n.cpgs[v.CPG].Flush(g.ID); err != nil {
			return fmt.Errorf("snapshot %s is made when there is room: %w", v.Name, err)
		}
	}
	return nil
}

// nameSnapshot takes a name.
func (n *Node) nameSnapshot(t *store.Tx, p pairOf, g RCGroup, like VV) (VV, error) {
	if !validName(p.sv) {
		return VV{}, array.Errorf(array.Invalid, "snapshot name %q: %s", p.sv, nameWanted)
	}
	if err := n.nameFree(t, p.sv); err != nil {
		return VV{}, err
	}
	of, ok, err := n.vvNamed(t, p.vv)
	switch {
	case err != nil || !ok:
		return VV{}, orElse(err, array.Errorf(array.NotFound, "volume %s does not exist", p.vv).Because(array.NoVolume))
	case of.Group != g.ID:
		return VV{}, array.Errorf(array.Invalid, "volume %s is not in group %s: snapshots of one moment are of one group", p.vv, g.Name)
	case of.Of != 0:
		return VV{}, array.Errorf(array.Invalid, "%s is a read-only snapshot, which never changes: make a volume from it, without -ro", p.vv).Because(array.IsSnapshot)
	case of.Joins != nil || of.Stays != nil:
		return VV{}, notJoining(t, of)
	case of.Copy.partial():
		return VV{}, array.Errorf(array.Conflict, "volume %s is not a whole copy of %s yet", p.vv, of.Copy.Name).Because(array.Copied)
	case of.Taking != 0:
		return VV{}, array.Errorf(array.Conflict, "volume %s is being promoted", p.vv).Because(array.Copied)
	case n.cpgs[of.CPG].Volume(of.ID).SnapshotCount() >= volume.MaxSnapshots:
		return VV{}, array.Errorf(array.Full, "volume %s has %d snapshots, the most there may be", p.vv, volume.MaxSnapshots)
	}
	id, err := n.nextID(t)
	if err != nil {
		return VV{}, err
	}
	v := like
	v.ID, v.Name, v.Size, v.CPG, v.Group, v.Of = array.MakeVolumeID(n.cfg.SystemID, id), p.sv, of.Size, of.CPG, g.ID, of.ID
	return v, tables.vvs.Put(t, store.Key(uint64(v.ID)), v)
}

// removeVVs takes volumes or snapshots out of their group, on both arrays.
func (n *Node) removeVVs(ctx context.Context, id array.GroupID, vvs []VV) error {
	return n.changeGroup(ctx, id, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		if vvs, err = withPoints(t, vvs); err != nil {
			return err
		}
		for _, v := range vvs {
			if err := tables.vvs.Delete(t, store.Key(uint64(v.ID))); err != nil {
				return err
			}
			g = g.without(v)
		}
		return groupsPut(t, g)
	})
}

// withPoints adds the points of far copies to volumes that are removed: they go with them.
func withPoints(t *store.Tx, vvs []VV) ([]VV, error) {
	all := slices.Clone(vvs)
	for _, v := range vvs {
		if err := tables.vvs.With(t, byNeed, store.Key(uint64(v.ID)), func(_ string, o VV) error {
			if o.Of == v.ID && o.Point != 0 {
				all = append(all, o)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// snapshotMade gives a snapshot that can be read to the hosts it is exported to.
func (n *Node) snapshotMade(s volume.VolumeSpec) {
	n.wg.Go(func() {
		n.applying.Lock()
		defer n.applying.Unlock()
		d, err := n.describe(s.Group)
		if err != nil {
			return
		}
		if slices.Contains(d.Group.allGone(), s.ID) { // given up before it was made
			if err := n.removePages(d.Group.allGone()...); err != nil {
				n.event(err.Error())
			}
			return
		}
		run := n.running(s.Group)
		for _, v := range d.VVs {
			if run == nil || v.ID != s.ID || run.units[v.ID] != nil || n.awaits(v) {
				continue
			}
			if err := n.addVolume(run, v, n.cpgs[v.CPG].Volume(v.ID), d.Group.Change); err != nil {
				n.alarm(fmt.Sprintf("snapshot %s can't be exported: %v", v.Name, err))
				return
			}
			if err := n.exports.renew(s.Group); err != nil {
				n.alarm(fmt.Sprintf("snapshot %s can't be exported: %v", v.Name, err))
			}
		}
	})
}

// unneeded says which of volumes can't be removed because others depend on them. What is
// said of some others at the same time is after.
func (n *Node) unneeded(vvs []VV, after ...VV) error {
	going, then := map[array.VolumeID]string{}, map[array.VolumeID]bool{}
	for _, v := range vvs {
		going[v.ID] = v.Name
	}
	for _, v := range after {
		then[v.ID] = true
	}
	needs := func(o VV) error {
		switch {
		case going[o.ID] != "", o.Point != 0 && going[o.Of] != "": // points go with their volume
		case going[o.joins()] != "":
			return array.Errorf(array.Conflict, "volume %s is being admitted to a Remote Copy group: 'dismissrcopyvv -f' ends that", going[o.joins()]).Because(array.Copied)
		case going[o.Taking] != "":
			if o.Copy.underWay() {
				return array.Errorf(array.Conflict, "volume %s is being made a copy of snapshot %s: wait for that, or 'createvvcopy -halt' it", o.Name, going[o.Taking]).Because(array.Copied)
			}
			return array.Errorf(array.Conflict, "volume %s is being made what snapshot %s was: promote that first", o.Name, going[o.Taking]).Because(array.Copied)
		case going[o.Of] != "" && o.copiedFrom():
			return errCopiedFrom(going[o.Of], o)
		case going[o.Of] != "":
			return array.Errorf(array.Conflict, "volume %s has the snapshot %s: remove that first", going[o.Of], o.Name).Because(array.HasSnapshots)
		case going[o.Base] != "":
			return array.Errorf(array.Conflict, "volume %s on array %s was made from snapshot %s: remove that first", o.Name, n.cfg.Name, going[o.Base]).Because(array.HasSnapshots)
		}
		return nil
	}
	for _, o := range after {
		if err := needs(o); err != nil {
			return err
		}
	}
	return n.store.View(func(t *store.Tx) error {
		for _, v := range vvs {
			if err := tables.vvs.With(t, byNeed, store.Key(uint64(v.ID)), func(_ string, o VV) error {
				if then[o.ID] {
					return nil
				}
				return needs(o)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// snapshotsFirst orders volumes so that they can be removed.
func snapshotsFirst(a, b VV) int {
	rank := func(v VV) int {
		if v.Of != 0 {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}
