// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/internal/rig"
	"github.com/perdure/perdure/test/bench/report"
)

// edge is how many groups at the beginning, and at the end, are held against each other.
const edge = 20

func most(limit float64) report.Budget  { return report.Budget{Sense: report.AtMost, Limit: limit} }
func least(limit float64) report.Budget { return report.Budget{Sense: report.AtLeast, Limit: limit} }

// requests adds the lines of one kind of request: how many a second, and how long the
// slowest of a hundred takes.
func (p *pair) requests(c *client, kind string, perSecond, p99 float64) {
	r, slow := c.rate(kind)
	p.lines = append(
		p.lines,
		report.Alone(kind+"-rate", "1/s", []float64{r}, least(perSecond)),
		report.Alone(kind+"-p99", "ms", []float64{slow}, most(p99)),
	)
}

// create makes hosts, groups, volumes and exports, as a program does that does not know
// how many there will be: each by a request of its own.
func (p *pair) create(ctx context.Context) error {
	c := p.at[rig.A]
	for h := range p.hosts {
		in := object{"name": hostName(h), "iSCSINames": []string{fmt.Sprintf("iqn.2026-01.org.example:host%d", h)}}
		if err := c.change(ctx, "host-create", "POST", "/hosts", in); err != nil {
			return err
		}
	}
	for g := range p.groups {
		if err := p.createGroup(ctx, c, g); err != nil {
			return err
		}
	}
	p.requests(c, "group-create", 5, 500)
	p.requests(c, "volume-create", 10, 250)
	p.requests(c, "volume-admit", 5, 500)
	p.requests(c, "volume-export", 10, 250)
	for _, x := range []struct {
		kind string
		each int
	}{{"group-create", 1}, {"volume-create", p.volumes}, {"volume-admit", p.volumes}, {"volume-export", p.volumes}} {
		all := millis(c.took[x.kind])
		n := edge * x.each
		p.lines = append(p.lines, report.Compared(x.kind+"-last", "ms", []float64{mean(all[len(all)-n:])}, []float64{mean(all[:n])}, most(1.5)))
	}
	return nil
}

func (p *pair) createGroup(ctx context.Context, c *client, g int) error {
	group := groupName(g)
	in := object{"name": group, "targets": []object{{"targetName": rig.Name(rig.B), "mode": 1}}}
	if err := c.change(ctx, "group-create", "POST", "/remotecopygroups", in); err != nil {
		return err
	}
	for v := range p.volumes {
		name := volumeName(g, v)
		if err := c.change(ctx, "volume-create", "POST", "/volumes", object{"name": name, "cpg": "cpg0", "sizeMiB": 1024}); err != nil {
			return err
		}
		admit := object{"volumeName": name, "volumeAutoCreation": true}
		if err := c.change(ctx, "volume-admit", "POST", "/remotecopygroups/"+group+"/volumes", admit); err != nil {
			return err
		}
		export := object{"volumeName": name, "lun": (g*p.volumes + v) / p.hosts, "hostname": hostName((g*p.volumes + v) % p.hosts)}
		if err := c.change(ctx, "volume-export", "POST", "/vluns", export); err != nil {
			return err
		}
	}
	return nil // a group is started as it is made
}

func hostName(h int) string { return fmt.Sprintf("host%d", h) }

func mean(all []float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}

// list asks for what a console shows, at the array that serves and at the other one.
func (p *pair) list(ctx context.Context) error {
	c := p.at[rig.A]
	for range p.lists {
		var volumes struct{ Total int }
		if err := c.ask(ctx, "volumes-list", "GET", "/volumes", nil, &volumes); err != nil {
			return err
		}
		if want := p.groups * p.volumes; volumes.Total != want {
			return fmt.Errorf("the list of volumes has %d, want %d", volumes.Total, want)
		}
		var groups groupFacts
		if err := c.ask(ctx, "groups-list", "GET", "/remotecopygroups", nil, &groups); err != nil {
			return err
		}
		if len(groups.Members) != p.groups {
			return fmt.Errorf("the list of groups has %d, want %d", len(groups.Members), p.groups)
		}
		if err := c.ask(ctx, "vluns-list", "GET", "/vluns", nil, nil); err != nil {
			return err
		}
		if err := c.ask(ctx, "status-all", "POST", "/cli", object{"words": []string{"status"}}, nil); err != nil {
			return err
		}
		for g := range 10 {
			if err := c.ask(ctx, "group-status", "GET", "/remotecopygroups/"+groupName(g*p.groups/10), nil, nil); err != nil {
				return err
			}
			if err := c.ask(ctx, "volume-status", "GET", "/volumes/"+volumeName(g*p.groups/10, 0), nil, nil); err != nil {
				return err
			}
		}
	}
	p.lines = append(p.lines, report.Alone("volumes-list", "ms", millis(c.took["volumes-list"]), most(200)))
	p.requests(c, "volumes-list", 5, 400)
	p.requests(c, "groups-list", 5, 400)
	p.requests(c, "vluns-list", 5, 400)
	p.requests(c, "status-all", 5, 400)
	p.requests(c, "group-status", 200, 20)
	p.requests(c, "volume-status", 200, 20)
	return nil
}

// switchOver moves all groups to the other array and back.
func (p *pair) switchOver(ctx context.Context) error {
	for _, to := range []int{rig.B, rig.A} {
		if err := p.untilSynced(ctx, 1-to); err != nil {
			return err
		}
		c := p.at[1-to]
		for g := range p.groups {
			if err := c.change(ctx, "switchover", "POST", "/remotecopygroups/"+groupName(g), object{"action": 8}); err != nil {
				return err
			}
		}
	}
	p.requests(p.at[rig.A], "switchover", 5, 500)
	p.lines = append(p.lines, report.Alone("refused", "times", []float64{float64(p.at[rig.A].refused + p.at[rig.B].refused)}, most(0)))
	return p.untilSynced(ctx, rig.A)
}

// groupFact is what a program wants to know of a group.
type groupFact struct {
	Name         string
	ServingArray string
	Targets      []struct{ StateName string }
	Volumes      []struct {
		RemoteVolumes []struct{ SyncStatusName string }
	}
}

type groupFacts struct{ Members []groupFact }

func (f groupFact) started() bool { return len(f.Targets) == 1 && f.Targets[0].StateName == "Started" }

func (f groupFact) synced() bool {
	for _, v := range f.Volumes {
		if len(v.RemoteVolumes) != 1 || v.RemoteVolumes[0].SyncStatusName != "Synced" {
			return false
		}
	}
	return f.started()
}

const settlesIn = 3 * time.Minute

// untilSynced waits until an array serves all groups and both have all of them.
func (p *pair) untilSynced(ctx context.Context, serving int) error {
	ctx, cancel := context.WithTimeout(ctx, settlesIn)
	defer cancel()
	return p.untilAll(ctx, serving, fmt.Sprintf("all groups in sync at %s", rig.Name(serving)), func(f groupFact) bool {
		return f.ServingArray == rig.Name(serving) && f.synced()
	})
}

// untilAll waits until an array says something of all groups.
func (p *pair) untilAll(ctx context.Context, at int, what string, is func(groupFact) bool) error {
	missing, name := 0, ""
	var err error
	e := p.Until(ctx, what, func() bool {
		var all groupFacts
		if err = p.at[at].ask(ctx, "poll", "GET", "/remotecopygroups", nil, &all); err != nil {
			return false
		}
		missing = p.groups - len(all.Members)
		for _, f := range all.Members {
			if !is(f) {
				missing, name = missing+1, f.Name
			}
		}
		return missing == 0
	})
	if e != nil {
		return fmt.Errorf("%w: not so of %d groups, among them %s; %w", e, missing, name, err)
	}
	return nil
}
