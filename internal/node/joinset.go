// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
)

// admitSet admits the volumes of a set to a group, all or none: if this array dies in the middle it
// goes on at its next start, and if one is refused after others were begun, these are taken back.
func (n *Node) admitSet(ctx context.Context, a *args, set, group string) (joins []string, err error) {
	alone, err := n.aloneIn(set)
	if err != nil {
		return nil, err
	}
	p, err := n.pledge(a, intoGroup(alone, group), outAgain(alone, group))
	if err != nil {
		return nil, err
	}
	joins, begun, err := n.admitAll(ctx, a, set, group)
	if err == nil {
		return joins, n.released(p)
	}
	if e := n.takesBack(p); e != nil {
		n.leaveTo(p, e) // which tries it again, and then this
		return nil, errors.Join(err, e)
	}
	if e := n.unadmit(context.WithoutCancel(ctx), begun, group); e != nil {
		n.leaveTo(p, e)
		return nil, fmt.Errorf("%w; the admissions of other volumes, which were begun, are ended as soon as that can be: %w", err, e)
	}
	return nil, errors.Join(err, n.released(p))
}

// aloneIn are the volumes of a set that are in no group yet.
func (n *Node) aloneIn(set string) (alone []string, err error) {
	s, err := n.volumeSet(set)
	if err != nil || s == nil {
		return nil, orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", set).Because(array.NoVolumeSet))
	}
	for _, name := range s.Members {
		_, g, err := n.vv(name)
		if err != nil {
			return nil, err
		}
		if g.Private {
			alone = append(alone, name)
		}
	}
	return alone, nil
}

// intoGroup are the commands that admit volumes: one each, so that one that a person takes out again,
// or puts into the set, after an interruption is not admitted with the others.
func intoGroup(vvs []string, group string) (steps [][]string) {
	for _, name := range vvs {
		steps = append(steps, []string{"admitrcopyvv", "-createvv", name, group})
	}
	return steps
}

// begunBefore reports whether an earlier start has admitted a volume to a group, or begun to, and
// the command is given again.
func (n *Node) begunBefore(a *args, v VV, g RCGroup, r *running) (bool, error) {
	if a.by.Over != overTask {
		return false, nil
	}
	if g.ID == r.rec.ID {
		return true, nil
	}
	o, is, err := n.joiningOf(v)
	return err == nil && is && o.Group == r.rec.ID, err
}

// outAgain are the commands that take volumes out of a group again. The first of them may have
// founded it, and is the last to go.
func outAgain(vvs []string, group string) (steps [][]string) {
	for _, name := range slices.Backward(vvs) {
		steps = append(steps, []string{"dismissrcopyvv", "-f", "-keepvv", "-wait", name, group})
	}
	return steps
}

// unadmit takes back what was begun of admissions by this command: a first volume is in the group
// already, none of the others is.
func (n *Node) unadmit(ctx context.Context, begun []string, group string) error {
	for _, name := range slices.Backward(begun) {
		v, g, err := n.vv(name)
		if err != nil {
			return err
		}
		r, err := n.findGroup(group)
		if err != nil {
			return err
		}
		o, is, err := n.joiningOf(v)
		switch {
		case err != nil:
		case is && o.Group == r.rec.ID:
			err = n.endsJoin(ctx, o, func(string, ...any) error { return nil })
		case g.ID == r.rec.ID:
			err = n.staysAlone(ctx, v, r)
		}
		if err != nil {
			return fmt.Errorf("volume %s: %w", name, err)
		}
	}
	return nil
}

// admitAll admits the volumes of a set, used and unused ones. It returns those that take their time,
// and all that it began to admit.
func (n *Node) admitAll(ctx context.Context, a *args, set, group string) (joins, begun []string, err error) {
	s, err := n.volumeSet(set)
	if err != nil || s == nil {
		return nil, nil, orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", set).Because(array.NoVolumeSet))
	}
	switch there, err := n.onlyThereInSet(ctx, set); {
	case err != nil:
		return nil, nil, err
	case there != "":
		return nil, nil, n.elsewhereAlone(there, group)
	case len(s.Members) == 0:
		return nil, nil, n.emptySet(set)
	}
	var todo []string
	for _, name := range s.Members { // what is in the way of any is in the way of all
		v, g, err := n.vv(name)
		switch {
		case err != nil:
			return nil, nil, err
		case g.Name == group && !g.Private:
			continue
		case !g.Private:
			return nil, nil, array.Errorf(array.Conflict, "volume %s is in Remote Copy group %s already", name, g.Name).Because(array.InOtherGroup)
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
			return nil, nil, err
		}
		todo = append(todo, name)
	}
	for _, name := range todo {
		v, _, err := n.vv(name)
		if err != nil {
			return joins, begun, err
		}
		r, err := n.findGroup(group) // the first one may have taken its place
		if err != nil {
			return joins, begun, err
		}
		begun = append(begun, name)
		joined, err := n.admitUsed(ctx, a, v, r)
		if err != nil {
			return joins, begun, fmt.Errorf("volume %s: %w", name, err)
		}
		if joined {
			joins = append(joins, name)
		}
	}
	return joins, begun, nil
}
