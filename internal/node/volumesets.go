// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// Which sets a volume is in is part of its description. What else there is of a set, vvsets.go
// has on both arrays.

// maxVVSets bounds the sets of volumes of an array, maxSetsOfVV those that a volume is in.
const (
	maxVVSets   = 4096
	maxSetsOfVV = 32
)

// VolumeSets returns the sets of volumes, by name.
func (n *Node) VolumeSets() (all []SetFact, err error) {
	sets := map[string]*SetFact{}
	set := func(name string) *SetFact {
		if sets[name] == nil {
			sets[name] = &SetFact{Name: name}
		}
		return sets[name]
	}
	var in map[objectKey]string
	err = n.store.View(func(t *store.Tx) (err error) {
		if in, err = domainsOf(t); err != nil {
			return err
		}
		if err := tables.vvsets.Each(t, func(_ string, s VVSet) error {
			if !s.Removed {
				f := set(s.Name)
				f.Comment, f.Limited = s.Comment, s.QoS != nil && s.QoS.Enabled
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error {
			for _, name := range v.Sets {
				s := set(name)
				s.Members = append(s.Members, v.Name)
			}
			return nil
		})
	})
	for _, s := range sets {
		slices.Sort(s.Members)
		s.Domain = in[keyOf(vvSetKind, s.Name)]
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b SetFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// volumeSet returns one of them, nil if there is none of that name.
func (n *Node) volumeSet(name string) (*SetFact, error) {
	all, err := n.VolumeSets()
	if i := slices.IndexFunc(all, func(s SetFact) bool { return s.Name == name }); err == nil && i >= 0 {
		return &all[i], nil
	}
	return nil, err
}

func createVVSet(n *Node, ctx context.Context, a *args) error {
	a.domainFlag()
	add, comment := a.flags.Bool("add", false, ""), a.flags.String("comment", "", "")
	if err := a.parse(1, 1+maxSetMembers); err != nil {
		return err
	}
	name, vvs := a.rest[0], a.rest[1:]
	s, err := n.volumeSet(name)
	switch {
	case err != nil:
		return err
	case !validName(name):
		return array.Errorf(array.Invalid, "volume set name %q: %s", name, nameWanted)
	case len(*comment) > maxComment:
		return array.Errorf(array.Invalid, "volume set %s: the comment has %d bytes, want at most %d", name, len(*comment), maxComment)
	case s != nil && !*add:
		return array.Errorf(array.Exists, "volume set %s exists already", name).Because(array.SetExists)
	case s == nil && *add:
		return array.Errorf(array.NotFound, "volume set %s does not exist", name).Because(array.NoVolumeSet)
	case s == nil:
		s = &SetFact{Name: name}
	}
	for i, vv := range vvs {
		v, _, err := n.vv(vv)
		switch {
		case err != nil:
			return err
		case slices.Contains(s.Members, vv) || slices.Contains(vvs[:i], vv):
			return array.Errorf(array.Exists, "volume %s is in volume set %s already", vv, name).Because(array.MemberTwice)
		case len(v.Sets) >= maxSetsOfVV:
			return v.inMostSets()
		}
		if err := n.mayLabel(v); err != nil {
			return err
		}
	}
	undo := setSteps("-novvset", name, vvs)
	if !*add {
		undo = append(undo, []string{"removevvset", "-f", name})
	}
	p := a.pledged(setSteps("-vvset", name, vvs), undo)
	if len(vvs) == 0 {
		p = nil
	}
	if err := n.changeVVSetWith(ctx, name, p, a.place(), func(s *VVSet) error {
		if a.given("comment") {
			s.Comment = *comment
		}
		return nil
	}); err != nil {
		return errors.Join(err, n.released(p))
	}
	// The volumes may be served by the other array, for which no command here may wait.
	if p != nil {
		a.then = func(ctx context.Context) error { return n.keep(ctx, p) }
	}
	return nil
}

// setSteps are the commands that put volumes in a set or, with -novvset, take them out.
func setSteps(option, set string, vvs []string) (steps [][]string) {
	for _, vv := range vvs {
		steps = append(steps, []string{"setvv", option, set, vv})
	}
	return steps
}

// mayLabel refuses a volume of which nothing can be changed now, as far as this array knows.
func (n *Node) mayLabel(v VV) error {
	if r := n.running(v.Group); r != nil && !r.rec.Private && n.elsewhere(r) {
		return nil // the other array says so
	}
	if err := n.noCopy(v.Group); err != nil {
		return err
	}
	_, err := n.mayChange(v.Group)
	return err
}

func removeVVSet(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1+maxSetMembers); err != nil {
		return err
	}
	name, vvs := a.rest[0], a.rest[1:]
	s, err := n.volumeSet(name)
	if err != nil || s == nil {
		return orElse(err, array.Errorf(array.NotFound, "volume set %s does not exist", name).Because(array.NoVolumeSet))
	}
	for _, vv := range vvs {
		if !slices.Contains(s.Members, vv) {
			return array.Errorf(array.NotFound, "volume %s is not in volume set %s", vv, name).Because(array.NoMember)
		}
	}
	whole := len(vvs) == 0
	if whole {
		vvs = s.Members
		err = sure("removevvset removes volume set %s; its volumes stay", name)
	} else {
		err = sure("removevvset takes %s out of volume set %s", strings.Join(vvs, ", "), name)
	}
	if err != nil {
		return err
	}
	for _, vv := range vvs {
		v, _, err := n.vv(vv)
		if err == nil {
			err = n.mayLabel(v)
		}
		if err != nil {
			return err
		}
	}
	if len(vvs) == 0 {
		return n.changeVVSet(ctx, name, func(s *VVSet) error { s.Removed = true; return nil })
	}
	steps := setSteps("-novvset", name, vvs)
	if whole {
		steps = append(steps, []string{"removevvset", "-f", name})
	}
	p, err := n.pledge(a, steps, setSteps("-vvset", name, vvs))
	if err != nil {
		return err
	}
	a.then = func(ctx context.Context) error { return n.keep(ctx, p) }
	return nil
}
