// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/table"
	"github.com/perdure/perdure/internal/volume"
)

// vvColumn is a column of showvv, with what a row has there.
type vvColumn struct {
	name  string
	brief bool // shown without -d
	of    func(vvRow) any
}

// vvRow is what there is to show of a volume.
type vvRow struct {
	v      VV
	number uint64
	used   volume.Used
	state  string
	of     string // what it is a copy of
	bsID   string
	group  string
	status string
	domain string
}

func vvColumns() []vvColumn {
	return []vvColumn{
		{">Id", true, func(r vvRow) any { return r.number }},
		{"Name", true, func(r vvRow) any { return r.v.Name }},
		{"Prov", true, func(r vvRow) any { return prov(r.v) }},
		{"Compr", true, func(r vvRow) any { return yesNo(r.v.Compress) }},
		{"Dedup", true, func(r vvRow) any { return yesNo(r.v.Provisioning == volume.Dedup) }},
		{"Type", true, func(r vvRow) any { return copyType(r.v) }},
		{"CopyOf", true, func(r vvRow) any { return r.of }},
		{"BsId", true, func(r vvRow) any { return r.bsID }},
		{"Rd", true, func(r vvRow) any {
			if r.v.Of != 0 {
				return "RO"
			}
			return "RW"
		}},
		{"Detailed_State", true, func(r vvRow) any { return r.state }},
		{">Usr_Used_MB", true, func(r vvRow) any { return mib(r.used.Stored) }},
		{">Tot_Rsvd_MB", true, func(r vvRow) any { return mib(r.used.Stored + r.used.Reserved) }},
		{">VSize_MB", true, func(r vvRow) any { return r.v.Size >> 20 }},
		{"UsrCPG", false, func(r vvRow) any { return r.v.CPG }},
		{"VV_WWN", false, func(r vvRow) any { return r.v.WWN() }},
		{"CreationTime", false, func(r vvRow) any { return showTime(r.v.Made) }},
		{"ExpirationTime", false, func(r vvRow) any { return showTime(r.v.Expires) }},
		{"RetentionTime", false, func(r vvRow) any { return showTime(r.v.Retain) }},
		{"RcopyGroup", false, func(r vvRow) any { return r.group }},
		{"RcopyStatus", false, func(r vvRow) any { return r.status }},
		{">AWrn%", false, func(r vvRow) any { return orDash(int64(r.v.AllocWarn)) }},
		{">ALim%", false, func(r vvRow) any { return orDash(int64(r.v.AllocLimit)) }},
		{"Domain", false, func(r vvRow) any { return orDashText(r.domain) }},
		{"Comment", false, func(r vvRow) any { return cmp.Or(r.v.Comment, "-") }},
	}
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

// showTime is a time as the incumbent writes it.
func showTime(t time.Time) string {
	if t.IsZero() {
		return "--"
	}
	return t.Local().Format(timeForPeople)
}

// copyType is the incumbent's word for how a volume came to be.
func copyType(v VV) string {
	switch {
	case v.Of != 0 || v.Base != 0:
		return "vcopy"
	case v.Copy.State != "":
		return "pcopy"
	}
	return "base"
}

// chosenColumns returns the columns that are asked for.
func chosenColumns(a *args, all bool, names string) (cols []vvColumn, err error) {
	for _, c := range vvColumns() {
		if all || c.brief {
			cols = append(cols, c)
		}
	}
	if names == "" {
		return cols, nil
	}
	cols = nil
	for _, want := range strings.Split(names, ",") {
		i := slices.IndexFunc(vvColumns(), func(c vvColumn) bool { return strings.EqualFold(strings.TrimPrefix(c.name, ">"), want) })
		if i < 0 || len(cols) >= 64 {
			return nil, array.Errorf(array.Invalid, "%s: column %q: 'showvv -d' has all of them", a.cmd.name, want)
		}
		cols = append(cols, vvColumns()[i])
	}
	return cols, nil
}

func showVV(n *Node, _ context.Context, a *args) error {
	a.domainFlag()
	all, names, cpg := a.flags.Bool("d", false, ""), a.flags.String("showcols", "", ""), a.flags.String("cpg", "", "")
	a.flags.Bool("p", false, "") // what follows are patterns, as all that these options take
	copyOf := a.flags.String("copyof", "", "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	cols, err := chosenColumns(a, *all, *names)
	if err != nil {
		return err
	}
	view := a.view()
	if *cpg != "" && !view.HasCPG(*cpg) {
		if !a.by.everything() {
			return mention{kind: cpgKind, name: *cpg}.missing()
		}
		return n.noCPG(*cpg)
	}
	rows, err := n.vvRows(view)
	if err != nil {
		return err
	}
	head := make([]string, len(cols))
	for i, c := range cols {
		head[i] = c.name
	}
	t := table.New(head...)
	found := map[string]bool{}
	var used, rsvd, size int64
	for _, r := range rows {
		if is, err := path.Match(*copyOf, r.of); *copyOf != "" && (err != nil || !is || r.of == "---") {
			continue
		}
		if *cpg != "" && r.v.CPG != *cpg || len(a.rest) > 0 && !a.names(r.v.Name, found) {
			continue
		}
		var row []any
		for _, c := range cols {
			row = append(row, c.of(r))
		}
		t.Row(row...)
		used, rsvd, size = used+r.used.Stored, rsvd+r.used.Stored+r.used.Reserved, size+r.v.Size>>20
	}
	if *copyOf != "" && t.Rows() == 0 {
		a.printf("no vv listed\n")
		return nil
	}
	if err := a.unnamed("volume", found); err != nil {
		return err
	}
	sums := map[string]any{"Id": t.Rows(), "Name": "total", "Usr_Used_MB": mib(used), "Tot_Rsvd_MB": mib(rsvd), "VSize_MB": size}
	var total []any
	for _, c := range cols {
		total = append(total, sums[strings.TrimPrefix(c.name, ">")])
	}
	t.Total(total...)
	a.table(t)
	return nil
}

// names reports whether a command names an object, by its name or with * and ?, and notes
// which of its words did.
func (a *args) names(name string, found map[string]bool) bool {
	ok := false
	for _, w := range a.rest {
		if m, err := path.Match(w, name); err == nil && m {
			found[w], ok = true, true
		}
	}
	return ok
}

// unnamed refuses words that named nothing.
func (a *args) unnamed(what string, found map[string]bool) error {
	for _, w := range a.rest {
		if !found[w] {
			return array.Errorf(array.NotFound, "%s %s does not exist", what, w)
		}
	}
	return nil
}

// vvRows returns what there is to show of all volumes, in the order of their ids.
func (n *Node) vvRows(view *View) ([]vvRow, error) {
	facts, err := view.Volumes()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(facts, func(a, b VolumeFact) int { return cmp.Compare(n.VolumeNumber(a.ID), n.VolumeNumber(b.ID)) })
	status := map[string]string{}
	for _, r := range n.shared() {
		if i, err := infoNow(r); err == nil {
			status[r.rec.Name] = stateOf(i)
		}
	}
	rows := make([]vvRow, len(facts))
	for k, f := range facts {
		rows[k] = vvRow{
			v: f.VV, domain: f.Domain, number: n.VolumeNumber(f.ID), used: f.Used, state: f.State, of: cmp.Or(f.CopyOf, "---"), group: "--", status: "none",
			bsID: fmt.Sprint(n.VolumeNumber(cmp.Or(f.Of, f.Base, f.ID))),
		}
		if f.Group != "" {
			rows[k].group, rows[k].status = f.Group, cmp.Or(status[f.Group], "--")
		}
	}
	return rows, nil
}

// usedBy returns what a volume takes here, and whether it can be used.
func (n *Node) usedBy(v VV) (volume.Used, string) {
	p := n.cpgs[v.CPG]
	switch {
	case p == nil:
		return volume.Used{}, "failed"
	case p.Volume(v.ID) == nil:
		return volume.Used{}, "missing"
	case v.Copy.State != "" || v.Joins != nil || v.Stays != nil:
		return p.Volume(v.ID).Used(), n.copyState(v)
	case v.Taking != 0 && !n.follows(v.Group):
		return p.Volume(v.ID).Used(), "promoting"
	}
	return p.Volume(v.ID).Used(), "normal"
}

// prov is the incumbent's word for how a volume is provisioned.
func prov(v VV) string {
	switch {
	case v.Of != 0 || v.Base != 0:
		return "snp"
	case v.Provisioning == volume.Full:
		return "full"
	case v.Provisioning == volume.Dedup:
		return "tdvv"
	}
	return "tpvv"
}

func mib(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
