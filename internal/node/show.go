// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/people"
)

func showCommands() []command {
	const look = people.Look
	return []command{
		{name: "status", right: look, usage: "status", about: "shows the pair, the witness and who serves which group", run: status},
		{name: "explain", right: look, usage: "explain <group>", about: "shows who may serve a group, why, and what was decided", run: explain},
		{name: "showrcopy", right: look, usage: "showrcopy [-d] [-qw] [-domain <domain>[,...]] [links|groups [<group>...]|targets [<target>...]]", about: "shows targets, links and groups; -d: more of groups, -qw: the witness", forms: []form{{"links", "how each link stands"}, {"groups [<group>...]", "groups and their volumes"}, {"targets [<target>...]", "the other array, and those outside the pair"}}, run: showRCopy},
		{name: "showvv", right: look, usage: "showvv [-d] [-showcols <column>[,<column>...]] [-cpg <cpg>] [-p] [-copyof <vv>] [-domain <domain>[,...]] [<vv>...]", about: "lists volumes and snapshots, and what they take here; -d: all columns, -copyof: those made from a volume", run: showVV},
		{name: "setcpg", right: people.Change, usage: "setcpg [-sdgw <size>] [-sdgl <size>] <cpg>", about: "changes at which size people and hosts are told of a CPG of this array, and beyond which it takes no more; 0 is none", run: setCPG},
		{name: "showcpg", right: look, usage: "showcpg [-d] [-domain <domain>[,...]] [<cpg>...]", about: "lists the common provisioning groups of this array and how full they are; -d: and their domains", run: showCPG},
		{name: "showvlun", right: look, usage: "showvlun [-t|-a] [-v <pattern>] [-host <pattern>] [-l <lun>] [-domain <domain>[,...]]", about: "lists the exports of volumes and hosts by name or pattern, with * and ?: -t: those made (templates), -a: those that a host is logged in for here (active)", run: showVLUN},
		{name: "showhost", right: look, usage: "showhost [-d] [-domain <domain>[,...]] [<host>...]", about: "lists the hosts with their iSCSI names, and the ports they are logged in at; -d: and their addresses and domains", run: showHost},
		{name: "showport", right: look, usage: "showport [-iscsi|-rcip]", about: "lists the iSCSI portals and the links of this array", run: showPort},
		{name: "showiscsisession", right: look, usage: "showiscsisession", about: "lists the iSCSI sessions of this array", run: showISCSISession},
		{name: "showsys", right: look, usage: "showsys [-d]", about: "shows this array and how full it is", run: showSys},
		{name: "showversion", right: look, usage: "showversion [-s]", about: "shows the version of the program; -s: only that", run: showVersion},
		{name: "showeventlog", right: look, rightOf: rightToEvents, usage: "showeventlog [-min <minutes>] [-startt <time>] [-endt <time>] [-sev|-nsev|-msg|-nmsg <pattern>] [-more] [-oneline] [-audit]", about: "lists the newest events, or with -audit who did what; a pattern is a part of the text, with * and ?", run: showEvents},
	}
}

// names of the two arrays, by side.
func (n *Node) arrayName(s array.Side) string {
	if s == n.side() {
		return n.cfg.Name
	}
	return n.to().Name
}

// roleOf returns the incumbent's role of this array in a group.
func (n *Node) roleOf(g RCGroup, i group.Info) string {
	home := g.Home == n.cfg.SystemID
	first := i.Owner == i.Self && i.View.Members.Has(i.Self)
	switch {
	case first && home:
		return "Primary"
	case first:
		return "Primary-Rev"
	case home:
		return "Secondary-Rev"
	}
	return "Secondary"
}

func stateOf(i group.Info) string {
	switch {
	case i.Stopped:
		return "Stopped"
	case i.Period.Period > 0 && i.View.Role.String() != "held" && i.Contact && i.Met:
		return "Started"
	case i.View.Role.String() == "held":
		return "Failsafe"
	case i.Synced || i.View.Role.String() == "paired":
		return "Started"
	case i.Contact:
		return "Starting"
	}
	return "Stopped"
}

// syncOf is the incumbent's word for how the volumes of a group stand: Stopped is the copy
// that goes on alone, Stale the one that was left behind, New one that the other array
// never had whole.
func syncOf(i group.Info) string {
	out := i.View.Role == arb.Out
	switch {
	case i.Period.Period > 0:
		return periodSync(i)
	case i.Stopped && out:
		return "Stale"
	case i.Stopped:
		return "Stopped"
	case i.Synced:
		return "Synced"
	case i.Syncing && i.Contact:
		return "Syncing"
	case i.Record.Epoch <= 1:
		return "New"
	case out || i.Contact:
		return "Stale"
	}
	return "Stopped"
}

// infoNow returns how a group stands; one that a person stopped is that on both arrays.
func infoNow(r running) (group.Info, error) {
	i, err := r.g.Info()
	i.Stopped = i.Stopped || r.rec.Stopped
	return i, err
}

func status(n *Node, _ context.Context, a *args) error {
	if err := a.parse(0, 0); err != nil {
		return err
	}
	a.printf("array\t%s\tsystem %d, start %d\n", n.cfg.Name, n.cfg.SystemID, n.start.Count)
	if rel := n.rel.Load(); rel.ties != nil {
		p := rel.ties.pair
		state := "does not answer"
		if p.Reachable() {
			state = "answers"
		}
		a.printf("target\t%s\t%s\n", n.to().Name, state)
		for _, l := range p.Peer().Status() {
			up := "down"
			if l.Up {
				up = fmt.Sprintf("up, round trip %v", l.RTT.Round(time.Microsecond))
				if l.RTT > supportedRTT {
					up += fmt.Sprintf(" (above the %v that synchronous mode supports)", supportedRTT)
				}
			} else if l.Err != nil {
				up += ": " + l.Err.Error()
			} else if !p.Peer().Connects() {
				up += fmt.Sprintf(": array %s, with the key %v, is the one to connect, and did not", n.to().Name, n.to().Key)
			}
			a.printf("link\t%s\t%s\n", l.Name, up)
		}
		if !n.RemoteCopyStarted() {
			a.printf("service\tRemote Copy\tstopped, until 'startrcopy'\n")
		}
		w := p.WitnessStatus()
		switch {
		case rel.witness.Address == "":
			a.printf("witness\tnone\t\n")
		case rel.stopped:
			a.printf("witness\t%s\tstopped\n", rel.witness.Address)
		case w.Reached:
			a.printf("witness\t%s\tanswers, round trip %v\n", rel.witness.Address, w.RoundTrip.Round(time.Microsecond))
		case w.LastSeen.IsZero():
			a.printf("witness\t%s\tnot reached yet: %s\n", rel.witness.Address, w.Error)
		default:
			a.printf("witness\t%s\tlost since %v: %s\n", rel.witness.Address, w.LastSeen.Format(time.TimeOnly), w.Error)
		}
	}
	for _, f := range n.FarTargets() {
		state := "does not answer"
		if f.Reachable {
			state = "answers"
		}
		a.printf("target\t%s\t%s, for periodic copies\n", f.Name, state)
	}
	cpgs, err := a.view().CPGs()
	if err != nil {
		return err
	}
	for _, c := range cpgs {
		a.printf("scrub\t%s\t%s\n", c.Name, n.scrubs[c.Name].text(n.cfg.Scrub.MiBPerSecond))
	}
	n.copiesStatus(a)
	for _, u := range n.leftOut() {
		if a.by.everything() {
			a.printf("failed\t%v\n", u.err())
		}
	}
	groups, err := a.view().shared()
	if err != nil {
		return err
	}
	for _, r := range groups {
		i, err := infoNow(r)
		if err != nil {
			return err
		}
		serving := "nobody known yet serves it"
		switch {
		case i.Serving:
			serving = "serving array " + n.cfg.Name
		case i.View.Role.String() == "out" || i.View.Role.String() == "paired" && i.Owner != i.Self:
			serving = "serving array " + n.arrayName(i.Self.Other())
		}
		far := n.farFacts(r.rec)
		if k := r.rec.follows(); k >= 0 {
			a.printf("group\t%s\tcopy of group %s on %s, %s, %s, newest point %s\n", r.rec.Name, far[k].Remote, far[k].Target, far[k].Role(), far[k].State, far[k].lastSync())
			continue
		}
		for _, f := range far {
			if f.wentOn() {
				a.printf("far\t%s\twent on by itself from the state of %s; group %s on %s does not follow it\n", r.rec.Name, f.lastSync(), f.Remote, f.Target)
				continue
			}
			a.printf("far\t%s\tcopy on %s, %s, %s, newest point %s\n", r.rec.Name, f.Target, f.State, f.Sync, f.lastSync())
		}
		if !n.paired() {
			a.printf("group\t%s\t%s\n", r.rec.Name, serving)
		} else {
			a.printf("group\t%s\t%s, home array %s, %s, %s, %s\n", r.rec.Name, serving, n.homeName(r.rec), n.roleOf(r.rec, i), stateOf(i), syncOf(i)+activeText(r.rec.Policies)+sharesText(i)+periodicText(r.rec))
		}
		if i.Reason != "" {
			a.printf("\t\tnot served here: %s\n", i.Reason)
		}
		if i.Rival != "" {
			a.printf("\t\t%s\n", i.Rival)
		}
	}
	return nil
}

func (n *Node) homeName(r RCGroup) string {
	if r.Home == n.cfg.SystemID {
		return n.cfg.Name
	}
	return n.to().Name
}

func explain(n *Node, _ context.Context, a *args) error {
	if err := a.parse(1, 1); err != nil {
		return err
	}
	r, err := n.findGroup(a.rest[0])
	if err != nil {
		return err
	}
	i, err := r.g.Info()
	if err != nil {
		return err
	}
	a.printf("group\t%s on array %s (side %v)\n", r.rec.Name, n.cfg.Name, i.Self)
	a.printf("record\t%v\n", i.Record)
	rec := n.recordOf(r)
	serving := fmt.Sprint(i.Serving || i.Sharing) + sharesText(i)
	if rec.follows() >= 0 {
		serving = "false: no host sees a copy that follows"
	}
	a.printf("role\t%v, owner %s, serving here %s\n", i.View.Role, n.arrayName(i.Owner), serving)
	if i.Reason != "" {
		a.printf("why not\t%s\n", i.Reason)
	}
	if i.Rival != "" {
		a.printf("why alone\t%s\n", i.Rival)
	}
	if in := i.Inputs; n.paired() {
		a.printf("facts\tother array in contact %v, records compared %v, sealed %v, other's leases ended %v\n", in.Contact, in.Matched, in.Sealed, in.GrantEnded)
		a.printf("\twitness seen here %x, there %x; copy whole %v\n", in.Witness, in.PeerWitness, in.Synced)
	}
	a.printf("log\tend %v, committed %d, applied %d, other holds %d, compared %v, open here %v\n", i.End, i.Commit, i.Applied, i.Peer, i.Met, i.Ready)
	if n.paired() {
		a.printf("copy\t%s\n", i.Copy)
	}
	if i.Period.Period > 0 {
		a.printf("period\t%s\n", pointText(i))
	}
	a.printf("%s", n.explainFar(rec))
	for _, d := range i.Decisions {
		a.printf("decided\t%v\n", d)
	}
	return nil
}

// activeText says that both arrays serve the group, by its policy.
func activeText(p Policies) string {
	if p.ActiveActive {
		return ", active_active"
	}
	return ""
}

// periodicText says how old the other array's copy of a periodic group may be.
func periodicText(g RCGroup) string {
	if g.Period == 0 {
		return ""
	}
	return ", periodic, every " + periodText(g.Period)
}

// sharesText says that this array serves what the other owns.
func sharesText(i group.Info) string {
	if i.Sharing {
		return ", shares what the owner orders"
	}
	return ""
}

func (n *Node) policyText(p Policies) string {
	var l []string
	for _, x := range []struct {
		on   bool
		name string
	}{
		{p.AutoRecover, "auto_recover"},
		{p.AutoFailover, "auto_failover"},
		{p.PathManagement, "path_management"},
		{p.AutoSynchronize, "auto_synchronize"},
		{p.ActiveActive, "active_active"},
		{p.FollowWrites, "follow_writes"},
		{p.PermanentLoss, "permanent_loss"},
		{p.OverPeriodAlert, "over_per_alert"},
	} {
		if x.on {
			l = append(l, x.name)
		}
	}
	if p.Prefer != 0 {
		l = append(l, "prefer="+n.systemName(p.Prefer))
	}
	if len(l) == 0 {
		return "-"
	}
	return strings.Join(l, ",")
}
