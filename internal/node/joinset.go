// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/array"
)

// admitSet admits the volumes of a set to a group, all or none: if this array dies in the middle it
// goes on at its next start, and if one is refused after others were begun, these are ended again.
func (n *Node) admitSet(ctx context.Context, a *args, set, group string) (joins []string, err error) {
	if a.by.Over == overTask { // it is being given again, until it is done
		return n.admitAll(ctx, a, set, group)
	}
	p, err := n.pledge(a, [][]string{{"admitrcopyvv", "-createvv", "set:" + set, group}}, nil)
	if err != nil {
		return nil, err
	}
	joins, err = n.admitAll(ctx, a, set, group)
	if err == nil {
		return joins, n.released(p)
	}
	ctx = context.WithoutCancel(ctx)
	if e := n.endJoins(ctx, joins, group); e != nil {
		for _, name := range joins {
			p.Undo = append(p.Undo, []string{"dismissrcopyvv", "-f", "-keepvv", name, group})
		}
		if e := n.takesBack(p); e != nil {
			return nil, errors.Join(err, e)
		}
		n.leaveTo(p, e)
		return nil, fmt.Errorf("%w; the admissions of other volumes, which were begun, are ended as soon as that can be: %w", err, e)
	}
	return nil, errors.Join(err, n.released(p))
}

// endJoins ends admissions that were begun.
func (n *Node) endJoins(ctx context.Context, names []string, group string) error {
	r, err := n.findGroup(group)
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		v, _, err := n.vv(name)
		if err != nil {
			return err
		}
		o, is, err := n.joiningOf(v)
		if err == nil && is && o.Group == r.rec.ID {
			err = n.endsJoin(ctx, o, func(string, ...any) error { return nil })
		}
		if err != nil {
			return fmt.Errorf("volume %s: %w", name, err)
		}
	}
	return nil
}

// admitAll admits the volumes of a set, used and unused ones.
func (n *Node) admitAll(ctx context.Context, a *args, set, group string) (joins []string, err error) {
	s, err := n.volumeSet(set)
	if err != nil || s == nil {
		return nil, orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", set).Because(array.NoVolumeSet))
	}
	switch there, err := n.onlyThereInSet(ctx, set); {
	case err != nil:
		return nil, err
	case there != "":
		return nil, n.elsewhereAlone(there, group)
	case len(s.Members) == 0:
		return nil, n.emptySet(set)
	}
	var todo []string
	for _, name := range s.Members { // what is in the way of any is in the way of all
		v, g, err := n.vv(name)
		switch {
		case err != nil:
			return nil, err
		case g.Name == group && !g.Private:
			continue
		case !g.Private:
			return nil, array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s already", name, g.Name).Because(array.InOtherGroup)
		}
		r, err := n.findGroup(group)
		if err == nil && a.by.Over == overTask { // an earlier start may have begun
			o, is, e := n.joiningOf(v)
			if e == nil && is && o.Group == r.rec.ID {
				joins = append(joins, name)
				continue
			}
			err = e
		}
		if err == nil {
			err = n.mayJoin(ctx, v, r)
		}
		if err != nil {
			return nil, err
		}
		todo = append(todo, name)
	}
	for _, name := range todo {
		v, _, err := n.vv(name)
		if err != nil {
			return joins, err
		}
		r, err := n.findGroup(group) // the first one may have taken its place
		if err != nil {
			return joins, err
		}
		joined, err := n.admitUsed(ctx, a, v, r)
		if err != nil {
			return joins, fmt.Errorf("volume %s: %w", name, err)
		}
		if joined {
			joins = append(joins, name)
		}
	}
	return joins, nil
}
