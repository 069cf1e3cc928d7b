// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

func farCommands() []command {
	return []command{
		{name: "admitrcopytarget", right: people.Change, usage: "admitrcopytarget [-cpg <cpg>] [-period <n>[s|m|h|d]] <target> periodic <group> [<vv>:<name>...]", about: "adds a periodic copy on an array outside the pair; whichever array serves the group brings it up to date", of: farGroup, run: admitTarget},
		{name: "dismissrcopytarget", right: people.Change, usage: "dismissrcopytarget -f [-keepvv] <target> <group>", about: "removes the periodic copy that a target has of a group; with -keepvv it goes on by itself there, from its last point", of: lastGroup, run: dismissTarget},
	}
}

// farGroup is command.of for admitrcopytarget: the group comes after the mode.
func farGroup(n *Node, words []string) *running {
	for i := len(words) - 1; i >= 3; i-- {
		if words[i-1] != modePeriodic && words[i-1] != modeSync {
			continue
		}
		if r, err := n.findGroup(words[i]); err == nil {
			return r
		}
	}
	return nil
}

func admitTarget(n *Node, ctx context.Context, a *args) error {
	cpg := a.flags.String("cpg", "", "")
	period := a.flags.String("period", "5m", "")
	if err := a.parse(3, 3+maxFarNames); err != nil {
		return err
	}
	if err := a.outsiders(); err != nil {
		return err
	}
	target, mode, group := a.rest[0], a.rest[1], a.rest[2]
	p, err := parsePeriod(*period)
	if err != nil {
		return err
	}
	r, err := n.findGroup(group)
	if err != nil {
		return err
	}
	t := n.farNamed(target)
	switch {
	case n.paired() && target == n.to().Name:
		return array.Errorf(array.Exists, "Target is already in this group. Group %s has the target %s as the other array of the pair", group, target)
	case t == nil:
		return array.Errorf(array.NotFound, "target %.40s does not exist: 'creatercopytarget -periodic' makes one, on both arrays of the pair", target).Because(array.NoTarget)
	case mode == modeSync:
		return array.Errorf(array.Conflict, "group %s has the synchronous target %s: a group may have only a single synchronous target", group, n.to().Name).Because(array.NoMode)
	case mode != modePeriodic:
		return array.Errorf(array.Invalid, "mode %.20q: want periodic", mode).Because(array.NoMode)
	case !t.tie.Reachable():
		return array.Errorf(array.Unavailable, "array %s does not reach target %s: both arrays of the pair are made known there, and it to both, with 'creatercopytarget -periodic'; 'showrcopy targets' on each shows who answers", n.cfg.Name, target).Because(array.TargetSilent)
	}
	f := Far{Systems: []array.SystemID{t.SystemID}, Origin: true, Period: p, CPG: *cpg}
	if f.Names, err = n.farNames(r, a.rest[3:]); err != nil {
		return err
	}
	if err := n.mayCopyTo(ctx, f, r.rec.ID); err != nil {
		return fmt.Errorf("target %s: %w", target, err)
	}
	return n.changeRecord(ctx, r, func(g *RCGroup) error {
		switch {
		case g.farWith(t.SystemID) >= 0:
			return array.Errorf(array.Exists, "Target is already in this group. Group %s has a periodic copy on target %s", g.Name, target)
		case slices.ContainsFunc(g.Far, func(f Far) bool { return f.Copy || f.Parted || !f.Origin }):
			return array.Errorf(array.Conflict, "group %s follows another group, or its copy went on by itself: it has no further copies meanwhile", g.Name)
		case len(g.Far) >= maxGroupFars:
			return array.Errorf(array.Full, "group %s has %d targets for periodic copies, the most there may be", g.Name, maxGroupFars)
		case g.Period > 0:
			return array.Errorf(array.Conflict, "group %s is periodic itself: a further target needs a synchronous group", g.Name).Because(array.NotSynchronous)
		}
		g.Far = append(slices.Clone(g.Far), f)
		return nil
	})
}

// mayCopyTo asks a target whether it can have a copy of a group.
func (n *Node) mayCopyTo(ctx context.Context, f Far, id array.GroupID) error {
	d, err := n.describe(id)
	if err != nil {
		return err
	}
	q := far.Request{Kind: far.Check, Group: id, Name: d.Group.Name, Systems: n.systems(), Period: f.Period}
	for _, v := range d.volumes() {
		x, err := f.volume(v, v.Size)
		if err != nil {
			return err
		}
		q.Volumes = append(q.Volumes, x)
	}
	_, err = n.askFar(ctx, f, farCheckWithin, q)
	return err
}

// farCheckWithin is how long a target may take to say whether it can have a copy.
const farCheckWithin = 5 * time.Second

// maxFarNames bounds the volumes that admitrcopytarget names.
const maxFarNames = 1024

// farNames reads which volumes are to have other names on a target.
func (n *Node) farNames(r *running, words []string) (map[array.VolumeID]string, error) {
	names, taken := map[array.VolumeID]string{}, map[string]bool{}
	for _, w := range words {
		vv, name, ok := strings.Cut(w, ":")
		switch {
		case !ok || vv == "" || name == "":
			return nil, array.Errorf(array.Invalid, "admitrcopytarget %.60q: must specify a mapping, as <volume>:<name there>", w)
		case !validName(name):
			return nil, array.Errorf(array.Invalid, "admitrcopytarget: volume name %.40q: %s", name, nameWanted)
		}
		v, g, err := n.vv(vv)
		switch {
		case err != nil:
			return nil, err
		case g.ID != r.rec.ID || v.Of != 0:
			return nil, array.Errorf(array.NotFound, "volume %s is not in Remote Copy group %s", vv, r.rec.Name).Because(array.NotInGroup)
		case taken[name] || names[v.ID] != "":
			return nil, array.Errorf(array.Invalid, "admitrcopytarget %s: the volume or the name is there twice", w)
		}
		names[v.ID], taken[name] = name, true
	}
	d, err := n.describe(n.recordOf(r).ID)
	if err != nil {
		return nil, err
	}
	for _, v := range d.volumes() {
		if names[v.ID] == "" && taken[v.Name] {
			return nil, array.Errorf(array.Invalid, "admitrcopytarget: volume %s would have the name there that another one is given: name it, too", v.Name)
		}
	}
	return names, nil
}

// outsiders refuses a domain's users what is done on an array outside the pair: it has domains of
// its own, of which nobody here knows which are theirs.
func (a *args) outsiders() error {
	if a.by.everything() {
		return nil
	}
	return array.Errorf(array.Denied, "%s: an array outside the pair has other domains: this takes a user of all", a.cmd.name)
}

func dismissTarget(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	keep := a.flags.Bool("keepvv", false, "")
	if err := a.parse(2, 2); err != nil {
		return err
	}
	if err := a.outsiders(); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[1])
	if err != nil {
		return err
	}
	if n.paired() && a.rest[0] == n.to().Name {
		return array.Errorf(array.Conflict, "target %s is the other array of the pair: 'dismissrcopyvv -keepvv' takes volumes out, 'removercopygroup' ends the group", a.rest[0])
	}
	g, k, err := n.findFar(r, a.rest[0])
	if err != nil {
		return err
	}
	f := g.Far[k]
	what := fmt.Sprintf("removes the periodic copy of group %s on target %s, with its data", g.Name, a.rest[0])
	if !f.Origin {
		what = fmt.Sprintf("removes group %s on target %s, which was its source, with its volumes and their data", cmp.Or(f.Remote, g.Name), a.rest[0])
	}
	switch {
	case f.Copy:
		return array.Errorf(array.Conflict, "group %s is the copy, of group %s: dismiss it there, or 'setrcopygroup failover -f %s' lets it go on by itself", g.Name, f.Remote, g.Name)
	case f.Parted:
		what = fmt.Sprintf("ends what group %s has to do with target %s, which went on by itself", g.Name, a.rest[0])
	case *keep:
		what = fmt.Sprintf("lets the copy of group %s on target %s go on by itself from the state of %s", g.Name, a.rest[0], farTime(f.Done))
	}
	if err := sure("dismissrcopytarget %s", what); err != nil {
		return err
	}
	kind := far.Drop
	if *keep {
		kind = far.Leave
	}
	// Nothing more is sent from here on, whatever comes of the rest.
	if err := n.changeFar(ctx, g.ID, f.Systems[0], func(f *Far) { f.Stopped = true }); err != nil {
		return err
	}
	n.farRuns.end(f.key(g.ID))
	name := a.rest[0]
	a.waits("remote_copy_dismiss", g.Name, func(ctx context.Context) error {
		if err := n.farAtRest(ctx, f.key(g.ID)); err != nil {
			return err
		}
		if !f.Parted {
			q := far.Request{Kind: kind, Group: g.ID, Name: g.Name, Systems: n.systems()}
			if _, err := n.askFar(ctx, f, farAnswer, q); err != nil && array.ReasonOf(err) != array.Served {
				return fmt.Errorf("target %s keeps its copy, and group %s the target, which is sent no points until 'startrcopygroup -t %s %s': %w", name, g.Name, name, g.Name, err)
			}
		}
		n.command.Lock()
		defer n.command.Unlock()
		if err := n.forgetFar(ctx, g.ID, f.Systems[0]); err != nil {
			return err
		}
		a.printf("target %s has been dismissed from group %s\n", name, g.Name)
		return nil
	})
	return nil
}

func farTime(p *FarPoint) string {
	if p == nil {
		return "no point"
	}
	return p.At.Format(timeForPeople)
}

// farAtRest waits until no point is on its way.
func (n *Node) farAtRest(ctx context.Context, key farKey) error {
	return await(ctx, farAnswer, func() (bool, error) { return !n.farRuns.state(key).running, nil },
		array.Errorf(array.Busy, "a point is still on its way"))
}

// forgetFar ends a group's relation to an array, with all points of it.
func (n *Node) forgetFar(ctx context.Context, id array.GroupID, system array.SystemID) error {
	return n.changeDescription(ctx, id, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		k := g.farWith(system)
		if k < 0 {
			return nil
		}
		var points []VV
		if err := tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error {
			if v.Point != 0 && (v.Point == g.Far[k].Done.tag() || v.Point == g.Far[k].Pending.tag()) {
				points = append(points, v)
			}
			return nil
		}); err != nil {
			return err
		}
		if g, err = n.strikePoint(t, id, points); err != nil {
			return err
		}
		g.Far = slices.Delete(slices.Clone(g.Far), k, k+1)
		return groupsPut(t, g)
	}, keepAsItWas)
}

// setFarPeriod is setrcopygroup period for a target outside the pair.
func (n *Node) setFarPeriod(ctx context.Context, r *running, target string, period int64) error {
	g, k, err := n.findFar(r, target)
	if err != nil {
		return err
	}
	if err := n.noCopy(g.ID); err != nil {
		return err
	}
	return n.changeFar(ctx, g.ID, g.Far[k].Systems[0], func(f *Far) { f.Period = period })
}

// stopFar stops the points to one target, or lets them begin again.
func (n *Node) stopFar(ctx context.Context, r *running, target string, stopped bool) error {
	g, k, err := n.findFar(r, target)
	if err != nil {
		return err
	}
	if err := n.noCopy(g.ID); err != nil {
		return err
	}
	f := g.Far[k]
	if !stopped && f.Parted {
		return array.Errorf(array.Conflict, "the copy of group %s on target %s went on by itself: 'setrcopygroup recover %s' there lets this group follow, or 'dismissrcopytarget' ends the relation", g.Name, target, f.Remote)
	}
	err = n.changeFar(ctx, g.ID, f.Systems[0], func(f *Far) { f.Stopped = stopped })
	if err == nil && stopped {
		n.farRuns.end(f.key(g.ID))
	}
	return err
}

// syncFar sends a point now and waits until the copy stands there.
func (n *Node) syncFar(ctx context.Context, id array.GroupID, to array.SystemID, tell func(progress.Step)) error {
	was, m := map[uint64]bool{}, progress.NewMeter("sync with target "+n.systemName(to), tell)
	sent := moving{}
	for first := true; ; first = false {
		d, f, err := n.describeFar(id, to)
		if err != nil {
			return err
		}
		if first { // points that there are are of before, and what failed before is tried again at once
			was[f.Done.tag()], was[f.Pending.tag()] = true, true
			n.farRuns.change(f.key(d.Group.ID), func(s *farRun) { s.trouble, s.retryAt = "", time.Time{} })
		}
		s := n.farRuns.state(f.key(d.Group.ID))
		m.Is(s.sent, "")
		switch {
		case !was[f.Done.tag()] && n.appliedTo(id, d.Group.Version): // the pair's other array was told
			return nil
		case !was[f.Done.tag()]: // it is there in a moment, or told again
		case f.Parted:
			return array.Errorf(array.Conflict, "the copy of group %s on target %s went on by itself: 'setrcopygroup recover %s' there lets this group follow", d.Group.Name, n.farName(f), f.Remote)
		case f.Stopped || f.Copy:
			return array.Errorf(array.Conflict, "target %s gets no points of group %s: 'startrcopygroup -t %s %s' first", n.farName(f), d.Group.Name, n.farName(f), d.Group.Name)
		case s.trouble != "" && !s.running && time.Now().Before(s.retryAt):
			return array.Errorf(array.Unavailable, "target %s does not get its point of group %s: %s", n.farName(f), d.Group.Name, s.trouble).Because(array.NotSynced)
		case !s.running:
			n.farRuns.change(f.key(d.Group.ID), func(s *farRun) { s.asked = true })
		}
		if sent.stuck(time.Now(), s.sent) || !pause(ctx, 50*time.Millisecond) {
			return array.Errorf(array.Busy, "group %s: a point is still on its way to target %s", d.Group.Name, n.farName(f)).Because(array.NotSynced)
		}
	}
}

// appliedTo reports whether a group is what its description of a version says, or a later one.
func (n *Node) appliedTo(id array.GroupID, version uint64) bool {
	r := n.running(id)
	return r != nil && r.rec.Version >= version
}

// isFar reports whether a target of that name is outside the pair.
func (n *Node) isFar(target string) bool { return target != "" && n.farNamed(target) != nil }

// askPoint has a point sent soon.
func (n *Node) askPoint(r *running, target string) error {
	g, k, err := n.findFar(r, target)
	if err != nil {
		return err
	}
	n.farRuns.change(g.Far[k].key(g.ID), func(s *farRun) { s.asked = true })
	return nil
}

// waitFar has a command wait until a point of this moment is on the target.
func (n *Node) waitFar(a *args, r *running, target string) error {
	g, k, err := n.findFar(r, target)
	if err != nil {
		return err
	}
	a.waits("remote_copy_sync", g.Name, func(ctx context.Context) error { return n.syncFar(ctx, g.ID, g.Far[k].Systems[0], a.tell) })
	return nil
}

// farless refuses to remove a group that has copies outside the pair, or is one.
func (n *Node) farless(g RCGroup) error {
	for _, f := range g.Far {
		switch {
		case f.Copy:
			return array.Errorf(array.Conflict, "group %s is a periodic copy of group %s of %s: 'dismissrcopytarget' there removes it, or 'setrcopygroup failover -f %s' makes it one of its own", g.Name, f.Remote, n.farName(f), g.Name)
		case !f.Parted:
			return array.Errorf(array.Conflict, "group %s has a periodic copy on %s: 'dismissrcopytarget' ends that first", g.Name, n.farName(f))
		}
	}
	return nil
}

// turnsFar carries out the forms of setrcopygroup that are about a copy outside the pair. It
// reports whether that was one.
func (n *Node) turnsFar(ctx context.Context, a *args, r *running, verb, target string, force bool) (bool, error) {
	rec := n.recordOf(r)
	k := rec.follows()
	parted := slices.IndexFunc(rec.Far, func(f Far) bool { return f.Parted && f.Done != nil && f.ID != 0 })
	switch {
	case target != "" && verb != "reverse":
		return true, array.Errorf(array.Invalid, "setrcopygroup %s: -t is for reverse", verb)
	case verb == "failover" && k >= 0:
		return true, n.failoverFar(ctx, a, rec, rec.Far[k], force)
	case verb == "failover" && parted >= 0 && force && n.unfinished(rec.ID):
		return true, n.failoverFar(ctx, a, rec, rec.Far[parted], force)
	case verb == "recover" && parted >= 0:
		f := rec.Far[parted]
		a.waits("remote_copy_recover", rec.Name, func(ctx context.Context) error {
			if err := n.recoverFar(ctx, rec.ID, f.Systems[0]); err != nil {
				return err
			}
			a.printf("group %s of %s follows group %s\n", f.Remote, n.farName(f), rec.Name)
			return nil
		})
		return true, nil
	case verb == "reverse" && n.isFar(target):
		g, k, err := n.findFar(r, target)
		if err != nil {
			return true, err
		}
		a.waits("remote_copy_reverse", g.Name, func(ctx context.Context) error { return n.handFar(ctx, g.ID, g.Far[k].Systems[0]) })
		return true, nil
	case target != "":
		return true, n.targetOf(target)
	case k >= 0 && (verb == "reverse" || !n.paired()): // else it is about the pair that keeps the copy
		return true, n.changesWithSource(rec, rec.Far[k])
	}
	return false, nil
}

// unfinished reports whether a group's volumes are still being made what they were at a point.
func (n *Node) unfinished(id array.GroupID) bool {
	d, err := n.describe(id)
	return err == nil && slices.ContainsFunc(d.volumes(), d.marked)
}
