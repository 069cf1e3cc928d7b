// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/far"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/store"
)

// A far target is an array outside the pair. It has periodic copies of groups of this one, or
// this one of its groups; it votes on nothing, and hosts don't see both.

// farTarget is one, with the running part of the relation.
type farTarget struct {
	Target
	tie *far.Tie
}

// farTargets are replaced, never changed.
type farTargets struct{ list atomic.Pointer[[]*farTarget] }

// maxFars bounds the far targets of an array.
const maxFars = 4

func (n *Node) fars() []*farTarget {
	if l := n.far.list.Load(); l != nil {
		return *l
	}
	return nil
}

// farNamed is the far target of a name, nil if there is none.
func (n *Node) farNamed(name string) *farTarget {
	for _, f := range n.fars() {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// farOf is the far target that is one of some arrays, one that answers if there is.
func (n *Node) farOf(systems []array.SystemID) (found *farTarget) {
	for _, f := range n.fars() {
		if slices.Contains(systems, f.SystemID) && (found == nil || !found.tie.Reachable()) {
			found = f
		}
	}
	return found
}

// openFars prepares the relations to the far targets that are stored.
func (n *Node) openFars() error {
	var all []Target
	if err := n.store.View(func(t *store.Tx) error {
		return tables.fars.Each(t, func(_ string, x Target) error {
			all = append(all, x)
			return nil
		})
	}); err != nil {
		return err
	}
	for _, x := range all {
		f, err := n.tieFar(x)
		if err != nil {
			return fmt.Errorf("target %s: %w", x.Name, err)
		}
		n.addFar(f)
	}
	return nil
}

// tieFar prepares the relation to a far target.
func (n *Node) tieFar(x Target) (*farTarget, error) {
	c := link.Config{Self: n.linkSelf(), Identity: n.ident, Key: x.Key, System: x.SystemID, Pool: n.pool}
	for _, l := range x.Links {
		c.Links = append(c.Links, link.LinkConfig{Name: l.Name, Remote: l.Remote})
	}
	tie, err := far.OpenTie(c, func(q far.Request) far.Answer { return n.serveFar(x.SystemID, q) }, n.log)
	if err != nil {
		return nil, err
	}
	return &farTarget{Target: x, tie: tie}, n.door.server.Add(tie.Peer())
}

func (n *Node) addFar(f *farTarget) {
	all := append(slices.Clone(n.fars()), f)
	slices.SortFunc(all, func(a, b *farTarget) int { return strings.Compare(a.Name, b.Name) })
	n.far.list.Store(&all)
}

// endFar ends the relation to a far target. It must not be called while its requests are kept
// from being answered.
func (n *Node) endFar(f *farTarget) {
	n.door.server.Remove(f.tie.Peer())
	all := slices.DeleteFunc(slices.Clone(n.fars()), func(o *farTarget) bool { return o == f })
	n.far.list.Store(&all)
	f.tie.Close()
}

func (n *Node) leaveFars() {
	for _, f := range n.fars() {
		n.endFar(f)
	}
}

// joinFar begins the relation to a far target.
func (n *Node) joinFar(x Target) error {
	switch {
	case len(n.fars()) >= maxFars:
		return array.Errorf(array.Full, "array %s has %d targets for periodic copies, the most there may be", n.cfg.Name, maxFars)
	case n.farNamed(x.Name) != nil || n.paired() && n.to().Name == x.Name:
		return array.Errorf(array.Exists, "array %s has a target %s already", n.cfg.Name, x.Name)
	case n.farOf([]array.SystemID{x.SystemID}) != nil || n.paired() && n.to().SystemID == x.SystemID:
		return array.Errorf(array.Exists, "array %s has the array with the id %d as a target already, under another name", n.cfg.Name, x.SystemID)
	}
	f, err := n.tieFar(x)
	if err != nil {
		return err
	}
	if err = n.openLinkDoor(n.tasks.ctx); err == nil {
		err = n.store.Update(func(t *store.Tx) error { return tables.fars.Put(t, x.Name, x) })
	}
	n.addFar(f)
	if err != nil {
		n.endFar(f)
		n.closeLinkDoor()
		return err
	}
	f.tie.Start()
	n.event(fmt.Sprintf("array %s is a target of this one from now on, for periodic copies", x.Name))
	return nil
}

// partFar ends the relation to a far target with which no group is shared.
func (n *Node) partFar(f *farTarget, a *args, sure func(string, ...any) error) error {
	for _, r := range n.shared() {
		if k := r.rec.farWith(f.SystemID); k >= 0 {
			return array.Errorf(array.Conflict, "target %s has a copy of group %s, or the other way round: 'dismissrcopytarget' ends that first", f.Name, r.rec.Name)
		}
	}
	if err := sure("removercopytarget ends the relation of array %s to %s", n.cfg.Name, f.Name); err != nil {
		return err
	}
	if err := n.store.Update(func(t *store.Tx) error { return tables.fars.Delete(t, f.Name) }); err != nil {
		return err
	}
	n.event(fmt.Sprintf("array %s is no target of this one any more", f.Name))
	// A request that is being answered may wait for this command to be over.
	a.then = func(context.Context) error {
		n.endFar(f)
		n.closeLinkDoor()
		return nil
	}
	return nil
}
