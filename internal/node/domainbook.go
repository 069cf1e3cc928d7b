// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// boundBook refuses too many entries, and forgets the oldest of the removed ones.
func boundBook(t *store.Tx) error {
	return errors.Join(
		bound(t, tables.domains, "domains", maxDomains, func(d Domain) entry { return d.entry }),
		bound(t, tables.domainsets, "domain sets", maxDomainSets, func(s DomainSet) entry { return s.entry }),
		bound(t, tables.placings, "objects in domains", maxPlaced, func(p placing) entry { return p.entry }),
	)
}

func bound[V any](t *store.Tx, b store.Bucket[V], what string, most int, of func(V) entry) error {
	type old struct {
		key string
		entry
	}
	var removed []old
	count := 0
	if err := b.Each(t, func(key string, v V) error {
		if e := of(v); e.Removed {
			removed = append(removed, old{key, e})
		} else {
			count++
		}
		return nil
	}); err != nil {
		return err
	}
	if count > most {
		return array.Errorf(array.Full, "there are %d %s, the most there may be", most, what)
	}
	slices.SortFunc(removed, func(x, y old) int { return cmp.Compare(x.Version, y.Version) })
	for _, x := range removed[:max(0, len(removed)-maxForgotten)] {
		if err := b.Delete(t, x.key); err != nil {
			return err
		}
	}
	return nil
}

// takeBook takes up what the other array tells, where it is newer. A change that a command
// waits for is refused if this array knows better, or if it would part what belongs together
// here.
func (n *Node) takeBook(b book, at *turn, users ...people.UserChange) error {
	if len(users) > usersAtOnce {
		return array.Errorf(array.Invalid, "the other array tells of %d users at once, want at most %d", len(users), usersAtOnce)
	}
	if err := b.check(); err != nil {
		return err
	}
	var moved []placing
	var taken []people.UserChange
	err := n.store.Update(func(t *store.Tx) (err error) {
		taken = nil
		if moved, err = n.takeBookIn(t, b); err != nil {
			return err
		}
		if len(users) > 0 {
			if err := n.usersTold.take(at); err != nil {
				return err
			}
		}
		for _, c := range users {
			now, err := n.people.TakeIn(t, c, n.cfg.Name)
			if err != nil {
				return err
			}
			if now != nil {
				taken = append(taken, *now)
			}
		}
		if b.More { // what was in a domain that is removed may come with the next message
			return nil
		}
		return n.mendBook(t, taken...)
	})
	if err != nil {
		return err
	}
	for _, c := range taken {
		n.people.Made(c)
	}
	if b.Asked || len(moved) == 0 {
		return nil
	}
	if err := n.store.View(func(t *store.Tx) error { return n.partedBy(t, moved) }); err != nil { // both arrays moved what belongs together, apart
		n.eventOnce(err.Error() + "; 'movetodomain' puts them in one")
	}
	return nil
}

// takeBookIn does so in a transaction, and returns what was somewhere before.
func (n *Node) takeBookIn(t *store.Tx, b book) (moved []placing, err error) {
	newer := func(what string, cur, is entry, ok bool) (bool, error) {
		if ok && cur.over(is) && b.Asked {
			return false, array.Errorf(array.Busy, "%s was changed on array %s meanwhile: try again", what, n.cfg.Name)
		}
		return !ok || is.over(cur), nil
	}
	for _, d := range b.Domains {
		cur, ok, err := tables.domains.Get(t, d.Name)
		take, e := newer("domain "+d.Name, cur.entry, d.entry, ok)
		if err := orElse(err, e); err != nil {
			return nil, err
		}
		if take {
			if err := tables.domains.Put(t, d.Name, d); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range b.Sets {
		cur, ok, err := tables.domainsets.Get(t, s.Name)
		take, e := newer("domain set "+s.Name, cur.entry, s.entry, ok)
		if err := orElse(err, e); err != nil {
			return nil, err
		}
		if take {
			if err := tables.domainsets.Put(t, s.Name, s); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range b.Placings {
		cur, ok, err := tables.placings.Get(t, string(p.Object))
		take, e := newer(p.Object.String(), cur.entry, p.entry, ok)
		if err := orElse(err, e); err != nil {
			return nil, err
		}
		if take && !b.Asked && p.Removed && cur.Domain != "" {
			if take, err = n.gone(t, p.Object); err != nil {
				return nil, err
			}
			if !take { // a set of hosts that the other array alone removed
				cur.entry = p.after(false)
				if err := tables.placings.Put(t, string(p.Object), cur); err != nil {
					return nil, err
				}
			}
		}
		if take {
			if err := tables.placings.Put(t, string(p.Object), p); err != nil {
				return nil, err
			}
			if ok {
				moved = append(moved, p)
			}
		}
	}
	if b.Asked {
		if err := n.partedBy(t, b.Placings); err != nil {
			return nil, err
		}
	}
	return moved, boundBook(t)
}

// mendBook brings back a domain that was removed on one array while something, or one of the users
// that the other array tells of, came into it on the other one.
func (n *Node) mendBook(t *store.Tx, users ...people.UserChange) error {
	b := bookOf{t: t}
	var lost []string
	for _, c := range users {
		if c.Now == nil {
			continue
		}
		for _, p := range c.Now.Domains {
			if _, ok, err := b.domain(p.Domain); err != nil {
				return err
			} else if !ok {
				lost = append(lost, p.Domain)
			}
		}
	}
	if err := tables.placings.Each(t, func(_ string, p placing) error {
		if p.Domain == "" {
			return nil
		}
		if _, ok, err := b.domain(p.Domain); err != nil || ok {
			return err
		}
		lost = append(lost, p.Domain)
		return nil
	}); err != nil {
		return err
	}
	slices.Sort(lost)
	for _, name := range slices.Compact(lost) {
		d, _, err := tables.domains.Get(t, name)
		if err != nil {
			return err
		}
		d.Name = name
		if err := b.putDomain(d, false); err != nil {
			return err
		}
	}
	return boundBook(t)
}

// partedBy refuses placings after which things that belong together here are in different
// domains.
func (n *Node) partedBy(t *store.Tx, placings []placing) error {
	if len(placings) == 0 {
		return nil
	}
	g, err := n.kinship(t)
	if err != nil {
		return err
	}
	in, err := domainsOf(t)
	if err != nil {
		return err
	}
	for _, p := range placings {
		for o := range g[p.Object] {
			if in[o] != in[p.Object] {
				return array.Errorf(array.Conflict, "array %s: %v is not in the same domain as %v, which belongs to it there", n.cfg.Name, o, p.Object).Because(array.OtherDomain)
			}
		}
	}
	return nil
}

// tellAllBook tells the other array of the entries that it has not heard of in this contact:
// told is which change of each it has.
func (n *Node) tellAllBook(ctx context.Context, told map[string]uint64, refused map[string]string) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	var news book
	keys := map[string]uint64{}
	fresh := func(key string, e entry) bool {
		if told[key] == e.Change {
			return false
		}
		keys[key] = e.Change
		return true
	}
	if err := n.store.View(func(t *store.Tx) error {
		if err := tables.domains.Each(t, func(key string, d Domain) error {
			if fresh("domain "+key, d.entry) {
				news.Domains = append(news.Domains, d)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tables.domainsets.Each(t, func(key string, s DomainSet) error {
			if fresh("set "+key, s.entry) {
				news.Sets = append(news.Sets, s)
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.placings.Each(t, func(key string, p placing) error {
			if fresh("object "+key, p.entry) {
				news.Placings = append(news.Placings, p)
			}
			return nil
		})
	}); err != nil {
		return
	}
	if news.empty() {
		n.book.whole = true
		return
	}
	err := n.tellEntries(ctx, news, false, false)
	if errors.As(err, new(unanswered)) {
		return
	}
	n.book.whole = true // or it has refused it
	const key = "domains"
	if err != nil && refused[key] != err.Error() {
		refused[key] = err.Error()
		n.warn("the other array does not take the domains of this one: " + err.Error())
	}
	for k, change := range keys {
		told[k] = change
	}
}

// domainsOf returns in which domain each object is; those in none are left out.
func domainsOf(t *store.Tx) (map[objectKey]string, error) {
	in := map[objectKey]string{}
	return in, tables.placings.Each(t, func(_ string, p placing) error {
		if p.Domain != "" {
			in[p.Object] = p.Domain
		}
		return nil
	})
}

// domainIn returns in which domain an object is, empty for none.
func domainIn(t *store.Tx, k objectKey) (string, error) {
	p, _, err := tables.placings.Get(t, string(k))
	return p.Domain, err
}

// anyPlaced reports whether there could be anything in a domain.
func anyPlaced(t *store.Tx) (any bool, err error) {
	err = tables.placings.EachKey(t, func(string) bool { any = true; return false })
	return any, err
}

// places returns them.
func (n *Node) places() (in map[objectKey]string, err error) {
	err = n.store.View(func(t *store.Tx) error {
		in, err = domainsOf(t)
		return err
	})
	return in, err
}

// gone reports whether there is no such object here. Hosts, groups and sets of volumes are
// removed on both arrays, and CPGs by nobody.
func (n *Node) gone(t *store.Tx, k objectKey) (bool, error) {
	if kind, name := k.parts(); kind == hostSetKind {
		_, ok, err := tables.sets.Get(t, name)
		return !ok, err
	}
	return true, nil
}
