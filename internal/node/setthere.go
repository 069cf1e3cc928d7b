// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A set of volumes is known on both arrays, and each sees of its members those that it has: an
// un-mirrored volume of the other one is none here.

// aloneInSet is a volume of a set that this array alone has, the first by name; empty for none.
func (n *Node) aloneInSet(set string) (name string, err error) {
	err = n.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if !slices.Contains(v.Sets, set) || name != "" && name < v.Name {
				return nil
			}
			g, _, err := tables.groups.Get(t, store.Key(uint64(v.Group)))
			if err == nil && g.Private {
				name = v.Name
			}
			return err
		})
	})
	return name, err
}

// onlyThereInSet asks the other array for a volume of a set that it alone has. One that does not
// answer says of none.
func (n *Node) onlyThereInSet(ctx context.Context, set string) (string, error) {
	if !n.reachable() {
		return "", nil
	}
	name, err := n.ask(ctx, request{AloneIn: set})
	if err == nil && name != "" && !validName(name) {
		err = array.Errorf(array.Internal, "array %s tells of a volume %.40q in set %s, which is no name", n.to().Name, name, set)
	}
	return name, err
}

// elsewhereAlone refuses a volume that the other array has, and this one serves the group.
func (n *Node) elsewhereAlone(name, group string) error {
	return array.Errorf(array.Conflict, "volume %s is on array %s alone, and group %s is served by array %s: 'setrcopygroup switchover %s' lets %s serve it, then admit the volume; or 'removevv -f %s' there, and create it in the group with -size",
		name, n.to().Name, group, n.cfg.Name, group, n.to().Name, name).Because(array.VolumeOnTarget)
}

// setElsewhere refuses to protect a set of which the other array alone has a volume.
func (n *Node) setElsewhere(s *SetFact, there string, g RCGroup) error {
	mode := modeSync
	if g.Period > 0 {
		mode = modePeriodic
	}
	if len(s.Members) == 0 {
		return array.Errorf(array.Conflict, "volume set %s has its volumes on array %s alone, such as %s: 'protectvvset %s %s %s:%s' there protects them",
			s.Name, n.to().Name, there, s.Name, g.Name, n.cfg.Name, mode).Because(array.VolumeOnTarget)
	}
	return array.Errorf(array.Conflict, "volume set %s has volumes on both arrays: %s is on array %s alone, %s on array %s; a group's volumes are on one before they are protected: 'removevvset -f %s %s', given to array %s, takes it out",
		s.Name, there, n.to().Name, s.Members[0], n.cfg.Name, s.Name, there, n.to().Name).Because(array.VolumeOnTarget)
}

// emptySet refuses a set without volumes.
func (n *Node) emptySet(set string) error {
	if n.paired() && !n.reachable() {
		return array.Errorf(array.Unavailable, "volume set %s has no volumes on array %s, and array %s, which may have some, does not answer", set, n.cfg.Name, n.to().Name).Because(array.TargetSilent)
	}
	return array.Errorf(array.Conflict, "volume set %s has no volumes", set).Because(array.NotEmpty)
}
