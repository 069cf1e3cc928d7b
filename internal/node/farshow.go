// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
)

// FarFact is how a group's copy outside the pair stands, or the group as such a copy.
type FarFact struct {
	// Target is what people here call the array, Remote what the group is called there.
	Target, Remote string
	// Copy: this group follows the other one. Reversed: the copy went on by itself.
	Copy, Reversed bool
	// Period is in seconds.
	Period int64
	// State and Sync are the incumbent's words.
	State, Sync string
	// LastSync is the point at which the copy stands, zero for none; Late, that the period
	// is not kept; Trouble, why the last point was not sent.
	LastSync time.Time
	Late     bool
	Trouble  string
	// Sent are pages of the point that is on its way.
	Sent int64
	// Filled is how far that is.
	Filled progress.Amount
	CPG    string

	f Far
}

// Of returns what the other group's volume of one of this group is called, and the number
// that it has there, 0 if that is not known yet.
func (f FarFact) Of(v VV) (name string, number uint64) {
	systems := append(slices.Clone(f.f.Systems), 0)
	return f.f.nameOf(v), array.NumberOf(uint64(f.f.Of[v.ID]), systems[0], systems[1])
}

// OfVolume says how one of the group's volumes stands: one that was admitted after the newest
// point is in none yet.
func (f FarFact) OfVolume(v VV) (sync string, last time.Time) {
	if f.f.Of[v.ID] != 0 || f.LastSync.IsZero() || f.Reversed {
		return f.Sync, f.LastSync
	}
	return "New", time.Time{}
}

// farFacts are those of a group.
func (n *Node) farFacts(g RCGroup) (all []FarFact) {
	for _, f := range g.Far {
		s := n.farRuns.state(f.key(g.ID))
		x := FarFact{
			Target: n.farName(f), Remote: f.Remote, Copy: f.Copy, Reversed: f.Parted, Period: f.Period, LastSync: f.Done.when(), Late: s.late, Trouble: s.trouble, CPG: f.CPG,
			State: "Started", Sync: "Synced", f: f,
		}
		if s.running {
			x.Filled, x.Sent = s.sent, s.sent.Bytes/block.Page
		}
		t := n.farOf(f.Systems)
		switch {
		case f.Stopped, f.Parted, t == nil || !t.tie.Reachable():
			x.State, x.Sync = "Stopped", "Stopped"
			if f.Parted {
				x.Sync = "Stale"
			}
		case f.Done == nil:
			x.State, x.Sync = "Starting", "New"
		case s.running && f.Pending != nil:
			x.Sync = "Syncing"
		}
		all = append(all, x)
	}
	return all
}

// Role is this group's towards the other one, in the incumbent's word.
func (f FarFact) Role() string {
	switch {
	case f.Copy && f.f.Origin:
		return "Secondary-Rev"
	case f.Copy:
		return "Secondary"
	case !f.f.Origin:
		return "Primary-Rev"
	}
	return "Primary"
}

// wentOn: this group is the copy that goes on by itself.
func (f FarFact) wentOn() bool { return f.Reversed && !f.Copy && !f.f.Origin }

// farRole is a group's role: that of a copy says more than that of the pair that keeps it.
func farRole(g RCGroup, role string, outside []FarFact) string {
	if k := g.follows(); k >= 0 && k < len(outside) {
		return outside[k].Role()
	}
	return role
}

// follows reports whether a group is a copy of one outside the pair.
func (n *Node) follows(id array.GroupID) bool {
	r := n.running(id)
	return r != nil && r.rec.follows() >= 0
}

// options is the incumbent's column.
func (f FarFact) options() string {
	last := "NA"
	if !f.LastSync.IsZero() {
		last = f.LastSync.Format(timeForPeople)
	}
	text := fmt.Sprintf("Last-Sync %s , Period %s", last, periodText(f.Period))
	if f.Late {
		text += ",over_per_alert"
	}
	return text
}

func (f FarFact) lastSync() string { return lastText(f.LastSync) }

// lastText is the moment of a point, or that there is none.
func lastText(t time.Time) string {
	if t.IsZero() {
		return "NA"
	}
	return t.Format(timeForPeople)
}

// showFar lists a group's relations outside the pair, as showrcopy groups does.
func (n *Node) showFar(a *args, d Description, detail bool, domain string) {
	for _, f := range n.farFacts(d.Group) {
		t, vvs := groupTables(detail)
		row := []any{d.Group.Name, f.Target, f.State, f.Role(), "Periodic", f.options()}
		if detail {
			row = n.detailed(row, d, cmp.Or(f.CPG, "-"), domain)
		}
		t.Row(row...)
		a.table(t)
		for _, v := range d.volumes() {
			name, number := f.Of(v)
			sync, last := f.OfVolume(v)
			if sync == "Syncing" {
				sync = withPercent(sync, f.Filled.Percent())
			}
			vvs.Row(vvCells(detail, v.Name, n.VolumeNumber(v.ID), name, numberText(number), sync, lastText(last))...)
		}
		a.table(vvs)
	}
}

// numberText is a volume's number for people, "-" if it is not known.
func numberText(number uint64) string {
	if number == 0 {
		return "-"
	}
	return fmt.Sprint(number)
}

// FarTargets returns the targets outside the pair.
func (n *Node) FarTargets() (all []TargetFact) {
	for _, t := range n.fars() {
		f := TargetFact{Name: t.Name, ID: t.SystemID, Reachable: t.tie.Reachable()}
		for _, l := range t.tie.Peer().Status() {
			f.Links = append(f.Links, linkFact(t.Target, l))
		}
		all = append(all, f)
	}
	return all
}

// explainFar says how the copies of a group stand, for explain.
func (n *Node) explainFar(g RCGroup) (text string) {
	for _, f := range n.farFacts(g) {
		what := fmt.Sprintf("a periodic copy on %s (group %s), every %s", f.Target, f.Remote, periodText(f.Period))
		if f.Copy {
			what = fmt.Sprintf("this is a periodic copy of group %s on %s, every %s", f.Remote, f.Target, periodText(f.Period))
		}
		switch {
		case f.wentOn():
			what = fmt.Sprintf("this was a periodic copy of group %s on %s, and went on by itself: 'setrcopygroup recover %s' lets that follow", f.Remote, f.Target, g.Name)
		case f.Reversed:
			what += "; the copy went on by itself"
		}
		text += fmt.Sprintf("far\t%s; %s; newest point %s", what, f.State, f.lastSync())
		if f.Sent > 0 {
			text += fmt.Sprintf("; one is on its way, with %d pages so far", f.Sent)
		}
		if f.Trouble != "" {
			text += "; the last was not sent: " + f.Trouble
		}
		text += "\n"
	}
	return text
}
