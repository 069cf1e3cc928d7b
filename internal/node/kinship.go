// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// kinship says which objects belong together: an export, a set or a group joins what is in one
// domain only, so they move from one domain to another together.
type kinship map[objectKey]map[objectKey]bool

func (g kinship) tie(a, b objectKey) {
	for _, x := range [][2]objectKey{{a, b}, {b, a}} {
		if g[x[0]] == nil {
			g[x[0]] = map[objectKey]bool{}
		}
		g[x[0]][x[1]] = true
	}
}

// kinship returns what belongs together on this array.
func (n *Node) kinship(t *store.Tx) (kinship, error) {
	g := kinship{}
	s, err := loadSight(t)
	if err != nil {
		return nil, err
	}
	for _, l := range s.vluns {
		g.tie(keyOf(cpgKind, s.vvs[l.Volume].CPG), hostKeyOf(l.Host))
	}
	for _, x := range s.sets {
		for _, h := range x.Hosts {
			g.tie(keyOf(hostSetKind, x.Name), keyOf(hostKind, h))
		}
	}
	groups := map[array.GroupID]string{}
	if err := tables.groups.Each(t, func(_ string, r RCGroup) error {
		if r.Private {
			return nil
		}
		groups[r.ID] = r.Name
		for _, x := range r.Near {
			g.tie(keyOf(groupKind, r.Name), hostKeyOf(x.Host))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, v := range s.vvs {
		cpg := keyOf(cpgKind, v.CPG)
		if name := groups[v.Group]; name != "" {
			g.tie(cpg, keyOf(groupKind, name))
		}
		for _, set := range v.Sets {
			g.tie(cpg, keyOf(vvSetKind, set))
		}
	}
	return g, nil
}

// hostKeyOf is that of a host or, as set:name, of a set of them.
func hostKeyOf(host string) objectKey {
	if set, is := cutSet(host); is {
		return keyOf(hostSetKind, set)
	}
	return keyOf(hostKind, host)
}

// together returns all that belongs together with some objects, them too, in order.
func (g kinship) together(with []objectKey) []objectKey {
	seen := map[objectKey]bool{}
	for next := slices.Clone(with); len(next) > 0; next = next[1:] {
		if seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		next = append(next, slices.Collect(maps.Keys(g[next[0]]))...)
	}
	return slices.Sorted(maps.Keys(seen))
}

// tiedHere returns what belongs together with objects on this array.
func (n *Node) tiedHere(with []objectKey) (all []objectKey, err error) {
	if len(with) > maxPlaced {
		return nil, array.Errorf(array.Invalid, "%d objects, want at most %d", len(with), maxPlaced)
	}
	err = n.store.View(func(t *store.Tx) error {
		g, err := n.kinship(t)
		all = g.together(with)
		return err
	})
	return all, err
}

// tied returns what belongs together with objects on either array.
func (n *Node) tied(ctx context.Context, with ...objectKey) ([]objectKey, error) {
	for {
		here, err := n.tiedHere(with)
		if err != nil || !n.reachable() {
			return here, err
		}
		r, err := n.answered(ctx, askWithin, request{Tied: here})
		if err != nil {
			return nil, err
		}
		if slices.Equal(r.Tied, here) {
			return here, nil
		}
		if with = r.Tied; len(with) <= len(here) { // an array keeps what it is asked with
			return nil, array.Errorf(array.Internal, "the other array tied %d objects to %d", len(with), len(here))
		}
	}
}
