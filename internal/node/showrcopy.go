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
			t.Row(f.Name, linkPort(l.Port-1), LinkAddress(l.Remote), up, "-")
		}
		for _, l := range f.Links {
			if !seen[l.Listen] {
				t.Row("receive", linkPort(l.Port-1), LinkAddress(l.Listen), "Up", "-")
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
		domain := orDashText(in[keyOf(groupKind, r.rec.Name)])
		if n.paired() || len(d.Group.Far) == 0 { // else it has to do with arrays outside a pair only
			n.showGroup(a, i, d, detail, domain)
		}
		n.showFar(a, d, detail, domain)
		if detail {
			showNear(a, d.Group.Near)
		}
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

// showGroup lists what a group is to the pair.
func (n *Node) showGroup(a *args, i group.Info, d Description, detail bool, domain string) {
	t, vvs := groupTables(detail)
	row := []any{d.Group.Name, cmp.Or(n.to().Name, "-"), stateOf(i), n.roleOf(d.Group, i), d.Group.Mode(), n.optionsOf(d.Group, i)}
	if detail {
		row = n.detailed(row, d, d.cpg(), domain)
	}
	t.Row(row...)
	a.table(t)
	for _, v := range d.volumes() {
		vvs.Row(vvCells(detail, v.inGroupAs(), n.VolumeNumber(v.ID), v.inGroupAs(), n.VolumeNumber(v.ID), withPercent(v.syncOf(syncOf(i)), n.percentOf(v, i)), lastSync(i))...)
	}
	a.table(vvs)
}

// withPercent is the word for how a volume stands with how far that is, as people read it.
func withPercent(word string, percent int) string {
	if percent < 0 {
		return word
	}
	return fmt.Sprintf("%s (%d%%)", word, percent)
}

// groupTables are the incumbent's for a group and for its volumes.
func groupTables(detail bool) (t, vvs *table.Table) {
	if detail {
		return table.New("Name", ">ID", "Target", "Status", "Role", "Mode", `"Options`, "LocalUserCpg", "RmUserCpg", "Domain"),
			table.Within("LocalVV", ">ID", "RemoteVV", ">ID", "SyncStatus", "Resync_ss", "Sync_ss", "VV_iter", "R_iter", "S_iter", "LastSyncTime", "LocalSet", "RemoteSet")
	}
	return table.New("Name", "Target", "Status", "Role", "Mode", `"Options`), table.Within("LocalVV", ">ID", "RemoteVV", ">ID", "SyncStatus", "LastSyncTime")
}

// detailed is a group's row with what -d adds.
func (n *Node) detailed(row []any, d Description, remoteCPG, domain string) []any {
	row = slices.Insert(row, 1, any(n.GroupNumber(d.Group.ID)))
	return append(row, d.cpg(), remoteCPG, domain)
}

// vvCells is a volume's row.
func vvCells(detail bool, local string, id uint64, remote string, remoteID any, sync, last string) []any {
	if detail {
		return []any{local, id, remote, remoteID, sync, "NA", "NA", "NA", "NA", "NA", last, "-", "-"}
	}
	return []any{local, id, remote, remoteID, sync, last}
}

// cpg is that of the group's volumes, "-" for none.
func (d Description) cpg() string {
	for _, v := range d.volumes() {
		return v.CPG
	}
	return "-"
}
