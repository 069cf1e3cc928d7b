// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// policyNames are the policies in the order in which they are told.
const policyNames = "auto_failover, path_management, auto_recover, auto_synchronize or active_active"

// setPolicy is setrcopygroup pol.
func (n *Node) setPolicy(ctx context.Context, a *args, force *bool) error {
	if err := a.parse(2, 2); err != nil {
		return err
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
		for _, p := range policies {
			if err := g.setPolicy(p); err != nil {
				return err
			}
		}
		return groupsPut(t, g)
	})
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
	case "active_active":
		g.Policies.ActiveActive = on
		if !on {
			g.Near = nil
			break
		}
		g.Policies = Policies{AutoFailover: true, PathManagement: true, AutoRecover: true, AutoSynchronize: true, ActiveActive: true}
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
