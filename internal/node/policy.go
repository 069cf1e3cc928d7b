// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// policyNames are the policies in the order in which they are told.
const policyNames = "auto_failover, path_management, auto_recover, auto_synchronize, active_active, follow_writes, permanent_loss, over_per_alert or prefer=ARRAY"

// setPolicy is setrcopygroup pol. With -period both are one change.
func (n *Node) setPolicy(ctx context.Context, a *args, force *bool) error {
	often := a.flags.String("period", "", "")
	if err := a.parse(2, 2); err != nil {
		return err
	}
	var period int64
	if *often != "" {
		var err error
		if period, err = parsePeriod(*often); err != nil {
			return err
		}
	}
	r, err := n.findGroup(a.rest[1])
	if err != nil {
		return err
	}
	policies := strings.Split(a.rest[0], ",")
	if slices.Contains(policies, "no_active_active") && r.rec.Policies.ActiveActive && !*force {
		if err := n.allSeeThis(r); err != nil {
			return err
		}
	}
	return n.changeGroup(ctx, r.rec.ID, func(t *store.Tx) error {
		g, _, err := tables.groups.Get(t, store.Key(uint64(r.rec.ID)))
		if err != nil {
			return err
		}
		if err := n.setPolicies(&g, policies); err != nil {
			return err
		}
		if period > 0 {
			if err := g.setPeriod(period, n.to().Name); err != nil {
				return err
			}
		}
		return groupsPut(t, g)
	})
}

// setPolicies sets policies of a group as people name them, each once.
func (n *Node) setPolicies(g *RCGroup, policies []string) error {
	named := map[string]bool{}
	for _, p := range policies {
		base, _, _ := strings.Cut(strings.TrimPrefix(p, "no_"), "=")
		if named[base] {
			return array.Errorf(array.Invalid, "policy %s is named twice: say what it is to be once", base)
		}
		named[base] = true
		if err := g.mayHave(p, n.to().Name); err != nil {
			return err
		}
		var err error
		if name, prefers := strings.CutPrefix(p, "prefer="); prefers {
			g.Policies.Prefer, err = n.systemNamed(name)
		} else {
			err = g.setPolicy(p)
		}
		if err != nil {
			return err
		}
	}
	if named["prefer"] && g.Policies.Prefer != 0 && (!g.Policies.AutoFailover || !g.Policies.PathManagement) {
		return array.Errorf(array.Conflict, "group %s: prefer needs auto_failover and path_management, without which the array that serves goes on", g.Name)
	}
	return nil
}

// systemNamed returns the id of an array of the pair.
func (n *Node) systemNamed(name string) (array.SystemID, error) {
	switch name {
	case n.cfg.Name:
		return n.cfg.SystemID, nil
	case n.to().Name:
		return n.to().SystemID, nil
	}
	return 0, array.Errorf(array.NotFound, "array %q is not of this pair: want %s or %s", name, n.cfg.Name, n.to().Name).Because(array.NoTarget)
}

// systemName is the reverse.
func (n *Node) systemName(id array.SystemID) string {
	switch id {
	case n.cfg.SystemID:
		return n.cfg.Name
	case n.to().SystemID:
		return n.to().Name
	}
	return fmt.Sprintf("array %d, which is not of this pair", id)
}

// prefers returns the side that the group names.
func (n *Node) prefers(r RCGroup) array.Members {
	switch r.Policies.Prefer {
	case n.cfg.SystemID:
		return array.Only(n.side())
	case n.to().SystemID:
		return array.Only(n.side().Other())
	}
	return 0
}

// setPolicy sets one policy, or with no_ before it takes it off.
func (g *RCGroup) setPolicy(p string) error {
	on := !strings.HasPrefix(p, "no_")
	switch strings.TrimPrefix(p, "no_") {
	case "auto_failover":
		g.Policies.AutoFailover = on
	case "path_management":
		g.Policies.PathManagement = on
	case "auto_recover":
		g.Policies.AutoRecover = on
	case "auto_synchronize":
		g.Policies.AutoSynchronize = on
	case "over_per_alert":
		g.Policies.OverPeriodAlert = on
	case "active_active":
		g.Policies.ActiveActive = on
		if !on {
			g.Near, g.Policies.PermanentLoss, g.Policies.FollowWrites = nil, false, false
			break
		}
		p := &g.Policies
		p.AutoFailover, p.PathManagement, p.AutoRecover, p.AutoSynchronize = true, true, true, true
	case "prefer":
		if on {
			return array.Errorf(array.Invalid, "policy prefer: want prefer=ARRAY, or no_prefer for the array that serves")
		}
		g.Policies.Prefer = 0
	case "follow_writes":
		if on && !g.Policies.ActiveActive {
			return array.Errorf(array.Conflict, "group %s: follow_writes is for groups with the policy active_active, whose hosts write through both arrays", g.Name)
		}
		g.Policies.FollowWrites = on
	case "permanent_loss":
		if on && !g.Policies.ActiveActive {
			return array.Errorf(array.Conflict, "group %s: permanent_loss is for groups with the policy active_active, whose hosts may see one array only", g.Name)
		}
		g.Policies.PermanentLoss = on
	default:
		return array.Errorf(array.Invalid, "policy %q: want %s, or no_ before it", p, policyNames)
	}
	if g.Policies.ActiveActive && (!g.Policies.AutoFailover || !g.Policies.PathManagement) {
		return array.Errorf(array.Conflict, "group %s: active_active holds auto_failover and path_management: take off active_active first", g.Name)
	}
	return nil
}

// allSeeThis refuses to end active_active while a host that the group is exported to is
// not logged in at this array, which will serve it alone.
func (n *Node) allSeeThis(r *running) error {
	here := map[string]bool{}
	for _, s := range n.target.Sessions() {
		here[s.Initiator] = here[s.Initiator] || !s.Discovery
	}
	return n.store.View(func(t *store.Tx) error {
		s, err := loadSight(t)
		if err != nil {
			return err
		}
		for _, l := range s.vluns {
			if s.vvs[l.Volume].Group != r.rec.ID {
				continue
			}
			for _, h := range s.hostsOf(l.Host) {
				if !slices.ContainsFunc(h.Initiators, func(i string) bool { return here[i] }) {
					return array.Errorf(array.Conflict,
						"group %s: host %s, which volume %s is exported to, is not logged in at array %s, which would serve alone: let it log in, remove the export, or say -f",
						r.rec.Name, h.Name, s.vvs[l.Volume].Name, n.cfg.Name)
				}
			}
		}
		return nil
	})
}
