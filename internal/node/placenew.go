// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/perdure/perdure/internal/store"
)

// What a command makes is in its domain from its first moment: the transaction that stores it
// stores its place, on either array. In none, the people of that domain could neither see it nor
// make it again.

// newPlace is where a new object belongs; without a key, there is nothing new.
type newPlace struct {
	key    objectKey
	domain string
}

// place is that of what the command makes.
func (a *args) place() newPlace {
	if a.made == (mention{}) {
		return newPlace{}
	}
	return newPlace{keyOf(a.made.kind, a.made.name), a.into}
}

// put stores it with the object, and returns what takes that back.
func (p newPlace) put(t *store.Tx) (was book, err error) {
	if p.key == "" {
		return was, nil
	}
	b := bookOf{t: t}
	if p.domain != "" {
		if _, err := b.mustHave(p.domain); err != nil {
			return was, err
		}
	}
	if err := b.place(p.key, p.domain); err != nil || b.now.empty() {
		return was, err
	}
	return b.was, boundBook(t)
}

// placesOf are the places of objects that the other array is told of, nil if they have none, with
// their domains: it may not have heard of these yet.
func (n *Node) placesOf(keys ...objectKey) (*book, error) {
	var b book
	err := n.store.View(func(t *store.Tx) error {
		seen := map[string]bool{}
		for _, k := range keys {
			p, ok, err := tables.placings.Get(t, string(k))
			if err != nil {
				return err
			}
			if !ok || p.Domain == "" {
				continue
			}
			b.Placings = append(b.Placings, p)
			if seen[p.Domain] || len(b.Domains) == domainsAtOnce {
				continue // it brings back what it lacks
			}
			d, ok, err := tables.domains.Get(t, p.Domain)
			if err != nil {
				return err
			}
			if seen[p.Domain] = true; ok {
				b.Domains = append(b.Domains, d)
			}
		}
		return nil
	})
	if err != nil || b.empty() {
		return nil, err
	}
	return &b, nil
}

// key is that of the host, or the set of hosts.
func (c hostChange) key() objectKey {
	if set, is := cutSet(c.Name); is {
		return keyOf(hostSetKind, set)
	}
	return keyOf(hostKind, c.Name)
}

// placesWith takes the places that come with objects which the other array tells of. What is in a
// domain here already was moved to another one: the book's own news say so.
func (n *Node) placesWith(t *store.Tx, b *book) error {
	if b == nil {
		return nil
	}
	fresh := book{Domains: b.Domains}
	for _, p := range b.Placings {
		here, err := domainIn(t, p.Object)
		if err != nil {
			return err
		}
		if here == "" {
			fresh.Placings = append(fresh.Placings, p)
		}
	}
	if len(fresh.Placings) == 0 {
		return nil
	}
	if _, err := n.takeBookIn(t, fresh); err != nil {
		return err
	}
	return n.mendBook(t)
}
