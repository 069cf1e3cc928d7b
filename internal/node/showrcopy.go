// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/table"
)

func showRCopy(n *Node, _ context.Context, a *args) error {
	a.domainFlag()
	detail, witness := a.flags.Bool("d", false, ""), a.flags.Bool("qw", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	what := ""
	if len(a.rest) > 0 {
		what, a.rest = a.rest[0], a.rest[1:]
	}
	type part struct {
		name string
		show func() error
	}
	parts := []part{
		{"targets", func() error { return n.showTargets(a, *witness) }},
		{"links", func() error { return n.showLinks(a) }},
		{"groups", func() error { return n.showGroups(a, *detail) }},
	}
	known := slices.ContainsFunc(parts, func(p part) bool { return p.name == what })
	if what != "" && !known || what == "links" && len(a.rest) > 0 {
		return array.Errorf(array.Invalid, "showrcopy: want links, groups or targets; usage: %s", a.cmd.usage)
	}
	status := "Started"
	if !n.RemoteCopyStarted() {
		status = "Stopped"
	}
	a.title("\nRemote Copy System Information\nStatus: " + status + ", Normal")
	for _, p := range parts {
		if what == "" || p.name == what {
			if err := p.show(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) showTargets(a *args, witness bool) error {
	a.title("\nTarget Information\n")
	cols := []string{"Name", ">ID", "Type", "Status", "Options", "Policy"}
	if witness {
		cols = append(cols, "Q-Witness-IP", "Q-Status", "Q-Status-Qual")
	}
	t := table.New(cols...)
	found := map[string]bool{}
	if n.paired() && (len(a.rest) == 0 || a.names(n.to().Name, found)) {
		st := "failed"
		if n.reachable() {
			st = "ready"
		}
		row := []any{n.to().Name, n.to().SystemID, "IP", st, "-", "mirror_config"}
		if witness {
			row = append(row, n.witnessWords()...)
		}
		t.Row(row...)
	}
	for _, f := range n.FarTargets() {
		if len(a.rest) > 0 && !a.names(f.Name, found) {
			continue
		}
		st := "failed"
		if f.Reachable {
			st = "ready"
		}
		row := []any{f.Name, f.ID, "IP", st, "periodic", "mirror_config"}
		if witness {
			row = append(row, "-", "-", "-")
		}
		t.Row(row...)
	}
	if err := a.unnamed("target", found); err != nil {
		return err
	}
	a.table(t)
	return nil
}

// witnessWords are the incumbent's for the state of the witness.
func (n *Node) witnessWords() []any {
	w, ok := n.Witness()
	switch {
	case !ok:
		return []any{"-", "Not-started", "not-started"}
	case !w.Started:
		return []any{w.Address, "Stopped", "not-started"}
	case w.Reached:
		return []any{w.Address, "Started", "ATF-ready"}
	}
	return []any{w.Address, "Started", "Not-Responding"}
}

// linkPort is the port of a link, portalPort that of an iSCSI portal, as node:slot:port.
func linkPort(k int) string   { return fmt.Sprintf("0:0:%d", k+1) }
func portalPort(k int) string { return fmt.Sprintf("0:1:%d", k+1) }

func (n *Node) showLinks(a *args) error {
	a.title("\nLink Information\n")
	t := table.New("Target", "Node", "Address", "Status", "Options")
	var all []TargetFact
	if f, ok := n.Target(); ok {
		all = append(all, f)
	}
	seen := map[string]bool{}
	for _, f := range append(all, n.FarTargets()...) {
		for _, l := range f.Links {
			up := "Down"
			if l.Up {
				up = "Up"
			}
			t.Row(f.Name, linkPort(l.Port-1), l.Remote, up, "-")
		}
		for _, l := range f.Links {
			if !seen[l.Listen] {
				t.Row("receive", linkPort(l.Port-1), l.Listen, "Up", "-")
			}
			seen[l.Listen] = true
		}
	}
	a.table(t)
	return nil
}

func (n *Node) showGroups(a *args, detail bool) error {
	a.title("\nGroup Information")
	found := map[string]bool{}
	groups, err := a.view().shared()
	if err != nil {
		return err
	}
	in, err := n.places()
	if err != nil {
		return err
	}
	for _, r := range groups {
		if len(a.rest) > 0 && !a.names(r.rec.Name, found) {
			continue
		}
		i, err := infoNow(r)
		if err != nil {
			return err
		}
		d, err := n.describe(r.rec.ID)
		if err != nil {
			return err
		}
		a.title("")
		if detail {
			n.showGroupInDetail(a, r, i, d, in[keyOf(groupKind, r.rec.Name)])
			continue
		}
		if !n.paired() && len(d.Group.Far) > 0 { // it is a copy of another array's
			n.showFar(a, d)
			continue
		}
		t := table.New("Name", "Target", "Status", "Role", "Mode", `"Options`)
		t.Row(r.rec.Name, cmp.Or(n.to().Name, "-"), stateOf(i), n.roleOf(r, i), d.Group.Mode(), n.optionsOf(d.Group, i))
		a.table(t)
		t = table.Within("LocalVV", ">ID", "RemoteVV", ">ID", "SyncStatus", "LastSyncTime")
		for _, v := range d.volumes() {
			t.Row(v.Name, n.VolumeNumber(v.ID), v.Name, n.VolumeNumber(v.ID), syncOf(i), lastSync(i))
		}
		a.table(t)
		n.showFar(a, d)
	}
	for _, w := range a.rest {
		if !found[w] {
			return array.Errorf(array.NotFound, "group matching %s does not exist on the system", w)
		}
	}
	return nil
}

// volumes are a group's without their snapshots.
func (d Description) volumes() (all []VV) {
	for _, v := range d.VVs {
		if v.Of == 0 {
			all = append(all, v)
		}
	}
	return all
}

// showNear lists which hosts of a group prefer which array's paths.
func showNear(a *args, near []Nearness) {
	if len(near) == 0 {
		return
	}
	t := table.Within("HostName", "Proximity")
	for _, x := range near {
		t.Row(x.Host, x.Proximity)
	}
	a.table(t)
}

func (n *Node) showGroupInDetail(a *args, r running, i group.Info, d Description, domain string) {
	cpg := "-"
	if len(d.VVs) > 0 {
		cpg = d.VVs[0].CPG
	}
	t := table.New("Name", ">ID", "Target", "Status", "Role", "Mode", `"Options`, "LocalUserCpg", "RmUserCpg", "Domain")
	t.Row(r.rec.Name, n.GroupNumber(r.rec.ID), n.to().Name, stateOf(i), n.roleOf(r, i), d.Group.Mode(), n.optionsOf(d.Group, i), cpg, cpg, orDashText(domain))
	a.table(t)
	t = table.Within("LocalVV", ">ID", "RemoteVV", ">ID", "SyncStatus", "Resync_ss", "Sync_ss", "VV_iter", "R_iter", "S_iter", "LastSyncTime", "LocalSet", "RemoteSet")
	for _, v := range d.volumes() {
		t.Row(v.Name, n.VolumeNumber(v.ID), v.Name, n.VolumeNumber(v.ID), syncOf(i), "NA", "NA", "NA", "NA", "NA", lastSync(i), "-", "-")
	}
	a.table(t)
	n.showFar(a, d)
	showNear(a, d.Group.Near)
}
