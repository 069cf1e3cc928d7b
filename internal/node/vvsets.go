// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A set of volumes may have volumes that different arrays serve, so it is in no group's
// description: either array changes it, and tells the other one. What that could not be told
// it hears when it answers; of two changes made apart the one with the larger version
// counts, on both arrays the same.

const (
	// maxRemovedSets bounds the removed sets that are remembered.
	maxRemovedSets = 1024
	// setsAtOnce is how many sets one message has.
	setsAtOnce = 256
)

// over reports whether s is the newer of two states of a set.
func (s VVSet) over(o VVSet) bool {
	return cmp.Or(cmp.Compare(s.Version, o.Version), cmp.Compare(s.Change, o.Change)) > 0
}

// check finds what no array sends.
func (s VVSet) check() error {
	if !validName(s.Name) || len(s.Comment) > maxComment {
		return array.Errorf(array.Invalid, "volume set %.40q, with a comment of %d bytes: want a name of 1 to 31 characters and at most %d bytes", s.Name, len(s.Comment), maxComment)
	}
	if s.QoS != nil {
		return s.QoS.check(s.Name)
	}
	return nil
}

// changeVVSet changes what there is of a set beside its volumes, or makes it, here and on
// the other array.
func (n *Node) changeVVSet(ctx context.Context, name string, f func(*VVSet) error) error {
	return n.changeVVSetWith(ctx, name, nil, newPlace{}, f)
}

// changeVVSetWith does so and stores a pledge with it, if there is one, and where a new set
// belongs. If the other array refuses it, nothing of it is left.
func (n *Node) changeVVSetWith(ctx context.Context, name string, p *pledge, place newPlace, f func(*VVSet) error) error {
	var s, was VVSet
	var elsewhere book
	err := n.store.Update(func(t *store.Tx) (err error) {
		var ok bool
		if s, ok, err = tables.vvsets.Get(t, name); err != nil {
			return err
		}
		if !ok || s.Removed {
			s = VVSet{Name: name, Version: s.Version, Removed: true}
		}
		was, s.Removed = s, false
		if err := f(&s); err != nil {
			return err
		}
		s.Version, s.Change = s.Version+1, nonce()
		if p != nil {
			err = p.put(t)
		}
		if err == nil {
			elsewhere, err = place.put(t)
		}
		return orElse(err, putVVSet(t, s))
	})
	if err != nil {
		return err
	}
	if err := n.limitVolumes(); err != nil {
		return err
	}
	if !n.reachable() {
		return nil
	}
	err = n.tellVVSets(ctx, []VVSet{s})
	if errors.As(err, new(unanswered)) {
		return nil // it hears of it when it answers
	}
	if err == nil {
		return nil
	}
	was.Version, was.Change = s.Version+1, nonce()
	if e := n.store.Update(func(t *store.Tx) error { return orElse(putVVSet(t, was), elsewhere.takeBack(t)) }); e != nil {
		return fmt.Errorf("take back a change the other array refused: %w", errors.Join(e, err))
	}
	return errors.Join(err, n.limitVolumes())
}

// putVVSet stores a set, if there is room for it.
func putVVSet(t *store.Tx, s VVSet) error {
	count := 0
	var removed []VVSet
	if err := tables.vvsets.Each(t, func(_ string, o VVSet) error {
		if o.Name == s.Name {
			return nil
		}
		if count++; o.Removed {
			removed = append(removed, o)
		}
		return nil
	}); err != nil {
		return err
	}
	if count -= len(removed); count >= maxVVSets && !s.Removed {
		return array.Errorf(array.Full, "there are %d volume sets, the most there may be", count)
	}
	if len(removed) >= maxRemovedSets {
		slices.SortFunc(removed, func(a, b VVSet) int { return cmp.Compare(a.Version, b.Version) })
		if err := tables.vvsets.Delete(t, removed[0].Name); err != nil {
			return err
		}
	}
	return tables.vvsets.Put(t, s.Name, s)
}

func (n *Node) tellVVSets(ctx context.Context, sets []VVSet) error {
	var keys []objectKey
	for _, s := range sets {
		if !s.Removed {
			keys = append(keys, keyOf(vvSetKind, s.Name))
		}
	}
	places, err := n.placesOf(keys...)
	if err == nil {
		_, err = n.ask(ctx, request{Sets: sets, Book: places})
	}
	return err
}

// takeVVSets takes up what the other array tells of sets, and where they belong, where it is
// newer.
func (n *Node) takeVVSets(sets []VVSet, places *book) error {
	if len(sets) > setsAtOnce {
		return array.Errorf(array.Invalid, "the other array tells of %d volume sets at once, want at most %d", len(sets), setsAtOnce)
	}
	for _, s := range sets {
		if err := s.check(); err != nil {
			return err
		}
	}
	if places != nil {
		if err := places.check(); err != nil {
			return err
		}
	}
	err := n.store.Update(func(t *store.Tx) error {
		for _, s := range sets {
			cur, ok, err := tables.vvsets.Get(t, s.Name)
			if err != nil {
				return err
			}
			if ok && !s.over(cur) {
				continue
			}
			if err := putVVSet(t, s); err != nil {
				return err
			}
		}
		return n.placesWith(t, places)
	})
	if err != nil {
		return err
	}
	return finished(n.limitVolumes())
}

// tellAllVVSets tells the other array of the sets that it has not heard of in this contact:
// told is which change of each it has.
func (n *Node) tellAllVVSets(ctx context.Context, told map[string]uint64, refused map[string]string) {
	var news []VVSet
	if err := n.store.View(func(t *store.Tx) error {
		return tables.vvsets.Each(t, func(_ string, s VVSet) error {
			if told[s.Name] != s.Change {
				news = append(news, s)
			}
			return nil
		})
	}); err != nil {
		return
	}
	for some := range slices.Chunk(news, setsAtOnce) {
		err := n.tellVVSets(ctx, some)
		if errors.As(err, new(unanswered)) {
			return
		}
		const key = "volume sets"
		if text := fmt.Sprint(err); err != nil && refused[key] != text {
			refused[key] = text
			n.warn("the other array does not take the volume sets of this one: " + text)
		}
		for _, s := range some {
			told[s.Name] = s.Change
		}
	}
}
