// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// Domains part an array among people. CPGs, hosts, Remote Copy groups and sets are in one, or
// in none; a volume, with its snapshots and exports, is where its CPG is. What is in which is
// a book of its own, by kind and name, equal on both arrays: either changes it and tells the
// other one. What that could not be told it hears when it answers; of two changes of one
// entry made apart the one with the larger version counts, on both arrays the same.

// Domain is one. Its name is its identity.
type Domain struct {
	Name    string `json:"name"`
	Comment string `json:"comment,omitempty"`
	entry
}

// DomainSet is a set of domains.
type DomainSet struct {
	Name    string   `json:"name"`
	Domains []string `json:"domains,omitempty"`
	Comment string   `json:"comment,omitempty"`
	entry
}

// placing says in which domain an object is; empty: in none.
type placing struct {
	Object objectKey `json:"object"`
	Domain string    `json:"domain,omitempty"`
	entry
}

// entry is what all that is in the book has.
type entry struct {
	Version uint64 `json:"version"`
	Change  uint64 `json:"change"`
	// Removed is kept for the other array, which may not have heard of it.
	Removed bool `json:"removed,omitempty"`
}

// over reports whether e is the newer of two states.
func (e entry) over(o entry) bool {
	return cmp.Or(cmp.Compare(e.Version, o.Version), cmp.Compare(e.Change, o.Change)) > 0
}

// after is the entry of a change of what e is of.
func (e entry) after(removed bool) entry {
	return entry{Version: e.Version + 1, Change: nonce(), Removed: removed}
}

// objectKey names an object that can be in a domain, as kind/name.
type objectKey string

// The kinds of objects.
const (
	cpgKind     = "cpg"
	hostKind    = "host"
	hostSetKind = "hostset"
	vvSetKind   = "vvset"
	groupKind   = "group"
	vvKind      = "vv" // never in the book: its CPG is
)

func keyOf(kind, name string) objectKey { return objectKey(kind + "/" + name) }

// parts are the kind and the name.
func (k objectKey) parts() (kind, name string) {
	kind, name, _ = strings.Cut(string(k), "/")
	return kind, name
}

// String is the object as people know it.
func (k objectKey) String() string {
	kind, name := k.parts()
	return map[string]string{cpgKind: "CPG", hostKind: "host", hostSetKind: "host set", vvSetKind: "volume set", groupKind: "Remote Copy group", vvKind: "volume"}[kind] + " " + name
}

const (
	// maxDomains and maxDomainSets are the incumbent's; maxPlaced bounds the objects in
	// domains, maxForgotten the removed entries of a kind that are remembered.
	maxDomains    = 1024
	maxDomainSets = 1024
	// maxDomainsOfSet bounds a set.
	maxDomainsOfSet = 64
	maxPlaced       = 1 << 16
	maxForgotten    = 4096
	// domainsAtOnce and placingsAtOnce are how many one message has, of each kind.
	domainsAtOnce  = 64
	placingsAtOnce = 4096
	// usersAtOnce is how many users a message has.
	usersAtOnce = 128
)

// book are entries of it: changes, or all.
type book struct {
	Domains  []Domain    `json:"domains,omitempty"`
	Sets     []DomainSet `json:"sets,omitempty"`
	Placings []placing   `json:"placings,omitempty"`
	// Asked: a command waits for the answer, and takes the changes back if they are refused.
	Asked bool `json:"asked,omitempty"`
	// More: the next message goes on with it.
	More bool `json:"more,omitempty"`
}

func (b *book) empty() bool { return len(b.Domains)+len(b.Sets)+len(b.Placings) == 0 }

// check finds what no array sends.
func (b *book) check() error {
	if max(len(b.Domains), len(b.Sets)) > domainsAtOnce || len(b.Placings) > placingsAtOnce {
		return array.Errorf(array.Invalid, "the other array tells of %d domains, %d sets of them and %d objects at once, want at most %d and %d objects", len(b.Domains), len(b.Sets), len(b.Placings), domainsAtOnce, placingsAtOnce)
	}
	for _, d := range b.Domains {
		if err := checkDomain("domain", d.Name, d.Comment); err != nil {
			return err
		}
	}
	for _, s := range b.Sets {
		if err := checkDomain("domain set", s.Name, s.Comment); err != nil {
			return err
		}
		if len(s.Domains) > maxDomainsOfSet || slices.ContainsFunc(s.Domains, func(d string) bool { return !validName(d) }) {
			return array.Errorf(array.Invalid, "domain set %s of %d domains: want names, at most %d", s.Name, len(s.Domains), maxDomainsOfSet)
		}
	}
	for _, p := range b.Placings {
		kind, name := p.Object.parts()
		if !slices.Contains([]string{cpgKind, hostKind, hostSetKind, vvSetKind, groupKind}, kind) || len(name) == 0 || len(name) > 64 || p.Domain != "" && !validName(p.Domain) {
			return array.Errorf(array.Invalid, "object %.80q in domain %.40q: want cpg, host, hostset, vvset or group, and names", p.Object, p.Domain)
		}
	}
	return nil
}

// checkDomain: all is people's word for every domain, and a name is no option.
func checkDomain(what, name, comment string) error {
	if !validName(name) || name == people.All {
		return array.Errorf(array.Invalid, "%s name %.40q: %s, and not %q", what, name, nameWanted, people.All)
	}
	if len(comment) > maxComment || !utf8.ValidString(comment) {
		return array.Errorf(array.Invalid, "%s %s: the comment has %d bytes, want text of at most %d", what, name, len(comment), maxComment)
	}
	return nil
}

// bookOf are the entries that a transaction reads and changes.
type bookOf struct {
	t *store.Tx
	// now is what was changed, was what it was before.
	now, was book
	// users are changed with it, tell is what the other array is to hear of them.
	users, tell []people.UserChange
}

func (b *bookOf) domain(name string) (d Domain, ok bool, err error) {
	d, ok, err = tables.domains.Get(b.t, name)
	return d, ok && !d.Removed, err
}

// mustHave returns a domain that exists.
func (b *bookOf) mustHave(name string) (Domain, error) {
	d, ok, err := b.domain(name)
	if err == nil && !ok {
		err = noDomain(name)
	}
	return d, err
}

func noDomain(name string) error {
	return array.Errorf(array.NotFound, "domain %.40s does not exist", name).Because(array.NoDomain)
}

func (b *bookOf) putDomain(d Domain, removed bool) error {
	was, ok, err := tables.domains.Get(b.t, d.Name)
	if err != nil {
		return err
	}
	if !ok {
		was = Domain{Name: d.Name, entry: entry{Removed: true}}
	}
	d.entry = was.after(removed)
	b.was.Domains, b.now.Domains = append(b.was.Domains, was), append(b.now.Domains, d)
	return tables.domains.Put(b.t, d.Name, d)
}

func (b *bookOf) putSet(s DomainSet, removed bool) error {
	was, ok, err := tables.domainsets.Get(b.t, s.Name)
	if err != nil {
		return err
	}
	if !ok {
		was = DomainSet{Name: s.Name, entry: entry{Removed: true}}
	}
	s.entry = was.after(removed)
	b.was.Sets, b.now.Sets = append(b.was.Sets, was), append(b.now.Sets, s)
	return tables.domainsets.Put(b.t, s.Name, s)
}

// place puts an object in a domain, or in none.
func (b *bookOf) place(k objectKey, domain string) error {
	was, ok, err := tables.placings.Get(b.t, string(k))
	if err != nil || was.Domain == domain {
		return err
	}
	if !ok {
		was = placing{Object: k, entry: entry{Removed: true}}
	}
	p := placing{Object: k, Domain: domain, entry: was.after(domain == "")}
	b.was.Placings, b.now.Placings = append(b.was.Placings, was), append(b.now.Placings, p)
	return tables.placings.Put(b.t, string(k), p)
}

// changeBook changes the book, with its users, here and on the other array, or, if that refuses
// it, nowhere.
func (n *Node) changeBook(ctx context.Context, f func(*bookOf) error) error {
	n.telling.Lock() // of users
	defer n.telling.Unlock()
	var b bookOf
	err := n.store.Update(func(t *store.Tx) error {
		b = bookOf{t: t}
		if err := f(&b); err != nil {
			return err
		}
		return boundBook(t)
	})
	if err != nil {
		return err
	}
	for _, c := range b.users {
		n.people.Made(c)
	}
	if b.now.empty() || !n.reachable() {
		return nil
	}
	if err = n.tellBook(ctx, b.now, true, b.tell...); err == nil || errors.As(err, new(unanswered)) {
		return nil // it hears of it when it answers
	}
	if e := n.store.Update(func(t *store.Tx) error {
		if err := b.was.takeBack(t); err != nil {
			return err
		}
		for _, c := range b.users {
			if err := n.people.TakeBackIn(t, c); err != nil {
				return err
			}
		}
		return nil
	}); e != nil {
		return fmt.Errorf("take back a change the other array refused: %w", errors.Join(e, err))
	}
	for _, c := range b.users {
		n.people.Made(c.Back())
	}
	return err
}

// takeBack stores what was before, as the newest change.
func (b *book) takeBack(t *store.Tx) error {
	back := bookOf{t: t}
	for _, d := range b.Domains {
		if err := back.putDomain(d, d.Removed); err != nil {
			return err
		}
	}
	for _, s := range b.Sets {
		if err := back.putSet(s, s.Removed); err != nil {
			return err
		}
	}
	for _, p := range b.Placings {
		if err := back.place(p.Object, p.Domain); err != nil {
			return err
		}
	}
	return nil
}

// bookTelling is the telling of the book, of one set of entries at a time: with others between two
// messages of one set, what the second one moves would seem to have come into a domain that the first
// one removes, and that domain would come back.
type bookTelling struct {
	mu sync.Mutex
	// whole: the other array has all that it was ever told a part of.
	whole bool
}

// parted notes that contact was lost, perhaps between two messages.
func (n *Node) parted() {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	n.book.whole = false
}

// tellBook tells the other array of entries, and of users with them. asked: it may refuse.
func (n *Node) tellBook(ctx context.Context, b book, asked bool, users ...people.UserChange) error {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	whole := n.book.whole
	n.book.whole = false // until all of it is told, now or with all other news
	err := n.tellEntries(ctx, b, asked, !whole, users...)
	n.book.whole = whole && err == nil
	return err
}

// tellEntries does so; more: others that go with them are told later. Of more than one message has
// room for, it hears domains first: none must come after what is in it. Users for whom there is no
// room hear of it by themselves (tellUsers).
func (n *Node) tellEntries(ctx context.Context, b book, asked, more bool, users ...people.UserChange) error {
	whole := len(b.Domains) <= domainsAtOnce && len(b.Sets) <= domainsAtOnce && len(b.Placings) <= placingsAtOnce && len(users) <= usersAtOnce
	if whole {
		b.Asked, b.More = asked, more
		if _, err := n.ask(ctx, request{Book: &b, Users: users, Turn: n.nextTurn()}); err != nil {
			return err
		}
		for _, c := range users { // else their next change is one of what the other array had before
			if err := n.people.Told(c); err != nil {
				return err
			}
		}
		return nil
	}
	for !b.empty() {
		some := book{Domains: b.Domains[:min(len(b.Domains), domainsAtOnce)]}
		if len(b.Domains) <= domainsAtOnce {
			some.Sets = b.Sets[:min(len(b.Sets), domainsAtOnce)]
			some.Placings = b.Placings[:min(len(b.Placings), placingsAtOnce)]
		}
		b = book{Domains: b.Domains[len(some.Domains):], Sets: b.Sets[len(some.Sets):], Placings: b.Placings[len(some.Placings):]}
		some.More = more || !b.empty()
		if _, err := n.ask(ctx, request{Book: &some}); err != nil {
			return err
		}
	}
	return nil
}
