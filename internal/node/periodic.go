// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/store"
)

// The modes of a group, and how often a periodic one gets points.
const (
	modeSync, modePeriodic = "sync", "periodic"

	defaultPeriod = 5 * 60
	minPeriod     = 15
	maxPeriod     = 366 * 24 * 60 * 60
)

func (g RCGroup) period() time.Duration { return time.Duration(g.Period) * time.Second }

// Mode is the incumbent's word.
func (g RCGroup) Mode() string {
	if g.Period > 0 {
		return "Periodic"
	}
	return "Sync"
}

// hiddenOn reports whether hosts see nothing of the group on this array: a periodic one is
// shown by the array that serves it alone, for the other's copy is of another moment.
func (g RCGroup) hiddenOn(r *group.Group) bool { return g.Period > 0 && !g.Private && r.Out() }

// moved is told by a group that this array became, or is no longer, a member of it.
func (n *Node) moved() {
	n.wg.Go(func() {
		if err := n.exports.rebuild(); err != nil {
			n.alarm("exports can't be made anew: " + err.Error())
		}
	})
}

// parsePeriod reads <n>[s|m|h|d].
func parsePeriod(s string) (int64, error) {
	unit, num := int64(1), s
	for suffix, x := range map[string]int64{"s": 1, "m": 60, "h": 3600, "d": 86400} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			num, unit = n, x
		}
	}
	x, err := strconv.ParseInt(num, 10, 32)
	switch {
	case err != nil:
		return 0, array.Errorf(array.Invalid, "period %q: want a number with s, m, h or d", s)
	case x*unit < minPeriod:
		return 0, array.Errorf(array.Invalid, "period %s: want at least %ds", s, minPeriod).Because(array.TooShort)
	case x*unit > maxPeriod:
		return 0, array.Errorf(array.Invalid, "period %s: want at most %dd", s, maxPeriod/86400).Because(array.TooLong)
	}
	return x * unit, nil
}

// targetOf refuses what is no array of the pair. Who asked the other array, which passed the
// command on, means this one: the target of a group is the array that does not serve it.
func (n *Node) targetOf(name string) error {
	if !n.paired() || name != n.to().Name && name != n.cfg.Name {
		return n.noTarget(name)
	}
	return nil
}

// noTarget says which targets there are instead of one that is not the other array.
func (n *Node) noTarget(name string) error {
	if n.isFar(name) {
		return array.Errorf(array.Invalid, "target %s is outside the pair, whose copies there are always periodic: 'admitrcopytarget %s periodic <group>' adds one to a group of the pair", name, name).Because(array.NoTarget)
	}
	var all []string
	if n.paired() {
		all = append(all, n.to().Name)
	}
	for _, t := range n.fars() {
		all = append(all, t.Name)
	}
	return array.Errorf(array.NotFound, "target %.40s does not exist: array %s has %s", name, n.cfg.Name, cmp.Or(strings.Join(all, " and "), "no target")).Because(array.NoTarget)
}

// changeRecord changes a group's record in its description.
func (n *Node) changeRecord(ctx context.Context, r *running, f func(*RCGroup) error) error {
	return n.changeGroup(ctx, r.rec.ID, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(r.rec.ID)))
		if err != nil {
			return err
		}
		if err := f(&g); err != nil {
			return err
		}
		return groupsPut(t, g)
	})
}

// setPeriod is setrcopygroup period.
func (n *Node) setPeriod(ctx context.Context, a *args) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[2])
	if err != nil {
		return err
	}
	period, err := parsePeriod(a.rest[0])
	if err != nil {
		return err
	}
	if n.isFar(a.rest[1]) {
		return n.setFarPeriod(ctx, r, a.rest[1], period)
	}
	if err := n.targetOf(a.rest[1]); err != nil {
		return err
	}
	return n.changeRecord(ctx, r, func(g *RCGroup) error { return g.setPeriod(period, a.rest[1]) })
}

// setPeriod sets the period of a group that has one.
func (g *RCGroup) setPeriod(period int64, target string) error {
	if g.Period == 0 {
		return array.Errorf(array.Conflict, "group %s is synchronous and has no period: 'setrcopygroup mode periodic %s %s' makes it periodic", g.Name, target, g.Name).Because(array.NotPeriodic)
	}
	g.Period = period
	return nil
}

// setMode is setrcopygroup mode.
func (n *Node) setMode(ctx context.Context, a *args, force *bool) error {
	if err := a.parse(3, 3); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[2])
	if err != nil {
		return err
	}
	if err := n.targetOf(a.rest[1]); err != nil {
		return err
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	switch mode := a.rest[0]; {
	case mode != modeSync && mode != modePeriodic:
		return array.Errorf(array.Invalid, "mode %q: want sync or periodic", mode).Because(array.NoMode)
	case mode == strings.ToLower(r.rec.Mode()):
		return nil
	case mode == modeSync:
		return n.makeSync(ctx, a, r, i)
	}
	return n.makePeriodic(ctx, a, r, i, *force)
}

// makeSync leaves the policies as they are: those of a synchronous group were taken off by hand,
// or never set, and somebody decides which it gets.
func (n *Node) makeSync(ctx context.Context, a *args, r *running, i group.Info) error {
	switch {
	case i.Stopped:
		return r.stopped()
	case !i.Contact || !i.Met:
		return array.Errorf(array.Unavailable, "group %s can't be made synchronous now: array %s does not follow it", r.rec.Name, n.to().Name).Because(array.TargetSilent)
	}
	err := n.changeRecord(ctx, r, func(g *RCGroup) error {
		g.Period, g.Policies.OverPeriodAlert = 0, false
		return nil
	})
	if err == nil && !r.rec.Policies.AutoFailover {
		a.printf("Group %s is synchronous, and no array takes it over by itself: 'setrcopygroup pol auto_failover,path_management %s' lets them\n", r.rec.Name, r.rec.Name)
	}
	return err
}

// makePeriodic takes the other array out of the group; it is refused where hosts or policies
// count on its copy being current. Force: hosts that don't see this array lose the group.
func (n *Node) makePeriodic(ctx context.Context, a *args, r *running, i group.Info, force bool) error {
	p := r.rec.Policies
	var held []string
	for _, x := range []struct {
		on   bool
		name string
	}{
		{p.ActiveActive, "active_active"},
		{p.AutoFailover, "auto_failover"},
		{p.PathManagement, "path_management"},
		{p.Prefer != 0, "prefer"},
	} {
		if x.on {
			held = append(held, "no_"+x.name)
		}
	}
	switch {
	case len(held) > 0:
		return array.Errorf(array.Conflict, "group %s has policies for a copy that is current at any moment, which a periodic one is not: 'setrcopygroup pol %s %s' takes them off", r.rec.Name, strings.Join(held, ","), r.rec.Name).Because(array.NotSynchronous)
	case len(r.rec.Far) > 0:
		return array.Errorf(array.Conflict, "group %s has the periodic target %s: it is sent by a synchronous pair; 'dismissrcopytarget' takes it out", r.rec.Name, n.farName(r.rec.Far[0])).Because(array.NotSynchronous)
	case i.Stopped:
		return r.stopped()
	case !i.Synced:
		return array.Errorf(array.Conflict, "group %s is not in sync: 'syncrcopy -w %s' waits for it", r.rec.Name, r.rec.Name).Because(array.NotSynced)
	}
	if !force {
		if err := n.allSeeThis(r); err != nil {
			return err
		}
	}
	err := n.changeRecord(ctx, r, func(g *RCGroup) error {
		g.Period, g.Policies.OverPeriodAlert, g.Policies.AutoSynchronize = defaultPeriod, true, false
		return nil
	})
	if err == nil {
		a.printf("Group %s is periodic: array %s gets its state every %s; 'setrcopygroup period' changes that\n", r.rec.Name, n.to().Name, periodText(defaultPeriod))
	}
	return err
}

// mayHave refuses policies that a group's mode can't keep.
func (g *RCGroup) mayHave(policy, target string) error {
	switch name := strings.TrimPrefix(policy, "no_"); {
	case g.Period == 0 && policy == "over_per_alert":
		return array.Errorf(array.Conflict, "group %s is synchronous: over_per_alert is for periodic groups", g.Name).Because(array.NotPeriodic)
	case g.Period == 0 || policy != name:
		return nil
	case name == "auto_recover" || name == "over_per_alert":
		return nil
	}
	return array.Errorf(array.Conflict, "group %s is periodic: its copy is of a moment before, so that it is never promoted, nor shared, by itself; 'setrcopygroup mode sync %s %s' makes the group synchronous, which %s is for", g.Name, target, g.Name, policy).Because(array.NotSynchronous)
}

// lastSync is the newest point that the other array, or this one, has.
func lastSync(i group.Info) string {
	if i.Period.Period == 0 || i.Period.At.IsZero() {
		return "NA"
	}
	return i.Period.At.Format(timeForPeople)
}

// optionsOf is the incumbent's column.
func (n *Node) optionsOf(g RCGroup, i group.Info) string {
	text := n.policyText(g.Policies)
	if g.Period == 0 {
		return text
	}
	head := fmt.Sprintf("Last-Sync %s , Period %s", lastSync(i), periodText(g.Period))
	if text == "-" {
		return head
	}
	return head + "," + text
}

// periodText is a period as people write it.
func periodText(s int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}} {
		if s%u.size == 0 {
			return strconv.FormatInt(s/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(s, 10) + "s"
}

// periodSync is a periodic group's state for each of its volumes.
func periodSync(i group.Info) string {
	p := i.Period
	switch {
	case p.Sending:
		return "Syncing"
	case i.Stopped || !i.Contact || !i.Met:
		return "Stopped"
	case p.At.IsZero():
		return "New"
	}
	return "Synced"
}

// pointText says for explain how the points of a periodic group stand.
func pointText(i group.Info) string {
	p := i.Period
	text := fmt.Sprintf("%v; newest point %s, at place %d", p.Period, lastSync(i), p.Place)
	if p.Sending {
		text += fmt.Sprintf("; one is on its way, with %d pages so far", p.Sent)
	}
	if p.Trouble != "" {
		text += "; the last was not sent: " + p.Trouble
	}
	if p.Awaits != "" {
		text += "; none is taken now: " + p.Awaits
	}
	return text
}
