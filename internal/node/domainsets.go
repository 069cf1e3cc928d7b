// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

// DomainSets returns the sets of domains of which any is seen, with those that are, by name.
func (v *View) DomainSets() (all []SetFact, err error) {
	err = v.n.store.View(func(t *store.Tx) error {
		return tables.domainsets.Each(t, func(_ string, s DomainSet) error {
			f := SetFact{Name: s.Name, Comment: s.Comment}
			for _, d := range s.Domains {
				if v.by.sees(d) {
					f.Members = append(f.Members, d)
				}
			}
			if !s.Removed && (len(f.Members) > 0 || v.by.everything()) {
				all = append(all, f)
			}
			return nil
		})
	})
	slices.SortFunc(all, func(a, b SetFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// set returns a set that exists.
func (b *bookOf) set(name string) (DomainSet, bool, error) {
	s, ok, err := tables.domainsets.Get(b.t, name)
	return s, ok && !s.Removed, err
}

func (b *bookOf) mustHaveSet(name string) (DomainSet, error) {
	s, ok, err := b.set(name)
	if err == nil && !ok {
		err = array.Errorf(array.NotFound, "domain set %.40s does not exist", name).Because(array.NoDomainSet)
	}
	return s, err
}

func createDomainSet(n *Node, ctx context.Context, a *args) error {
	add, comment := a.flags.Bool("add", false, ""), a.flags.String("comment", "", "")
	if err := a.parse(1, 1+maxDomainsOfSet); err != nil {
		return err
	}
	name, domains := a.rest[0], a.rest[1:]
	if err := checkDomain("domain set", name, *comment); err != nil {
		return err
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		s, ok, err := b.set(name)
		switch {
		case err != nil:
			return err
		case ok && !*add:
			return array.Errorf(array.Exists, "domain set %s exists already", name).Because(array.SetExists)
		case !ok && *add:
			_, err := b.mustHaveSet(name)
			return err
		case !ok:
			s = DomainSet{Name: name}
		}
		if a.given("comment") {
			s.Comment = *comment
		}
		s.Domains = slices.Clone(s.Domains)
		for _, d := range domains {
			if _, err := b.mustHave(d); err != nil {
				return err
			}
			if slices.Contains(s.Domains, d) {
				return array.Errorf(array.Exists, "domain %s is in domain set %s already", d, name).Because(array.MemberTwice)
			}
			s.Domains = append(s.Domains, d)
		}
		if len(s.Domains) > maxDomainsOfSet {
			return array.Errorf(array.Full, "domain set %s would have %d domains, want at most %d", name, len(s.Domains), maxDomainsOfSet)
		}
		return b.putSet(s, false)
	})
}

func setDomainSet(n *Node, ctx context.Context, a *args) error {
	name, comment := a.flags.String("name", "", ""), a.flags.String("comment", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if !a.given("name") && !a.given("comment") {
		return array.Errorf(array.Invalid, "setdomainset: want -name or -comment; usage: %s", a.cmd.usage)
	}
	old := a.rest[0]
	if !a.given("name") {
		*name = old
	}
	if err := checkDomain("domain set", *name, *comment); err != nil {
		return err
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		s, err := b.mustHaveSet(old)
		if err != nil {
			return err
		}
		if a.given("comment") {
			s.Comment = *comment
		}
		if *name != old {
			if _, ok, err := b.set(*name); err != nil || ok {
				return orElse(err, array.Errorf(array.Exists, "domain set %s exists already", *name).Because(array.SetExists))
			}
			if err := b.putSet(DomainSet{Name: old}, true); err != nil {
				return err
			}
			s.Name = *name
		}
		return b.putSet(s, false)
	})
}

func removeDomainSet(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1+maxDomainsOfSet); err != nil {
		return err
	}
	name, domains := a.rest[0], a.rest[1:]
	return n.changeBook(ctx, func(b *bookOf) error {
		s, err := b.mustHaveSet(name)
		if err != nil {
			return err
		}
		if len(domains) == 0 {
			if err := sure("removedomainset removes domain set %s; its domains stay", name); err != nil {
				return err
			}
			return b.putSet(DomainSet{Name: name}, true)
		}
		s.Domains = slices.Clone(s.Domains)
		for _, d := range domains {
			i := slices.Index(s.Domains, d)
			if i < 0 {
				return array.Errorf(array.NotFound, "domain %s is not in domain set %s", d, name).Because(array.NoMember)
			}
			s.Domains = slices.Delete(s.Domains, i, i+1)
		}
		if err := sure("removedomainset takes %s out of domain set %s", strings.Join(domains, ", "), name); err != nil {
			return err
		}
		return b.putSet(s, false)
	})
}

func showDomainSet(_ *Node, _ context.Context, a *args) error {
	detail, by := a.flags.Bool("d", false, ""), a.flags.Bool("domain", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	all, err := a.n.As(a.by).DomainSets()
	if err != nil {
		return err
	}
	cols := []string{">Id", "Name", "Members"}
	if *detail {
		cols = append(cols, "Comment")
	}
	t, found, sets := table.New(cols...), map[string]bool{}, 0
	for _, s := range all {
		if *by && !slices.ContainsFunc(s.Members, func(m string) bool { return a.names(m, found) }) || !*by && len(a.rest) > 0 && !a.names(s.Name, found) {
			continue
		}
		sets++
		showSet(t, s)
	}
	if !*by {
		if err := a.unnamed("domain set", found); err != nil {
			return err
		}
	}
	t.Total(fmt.Sprint(sets), "total", t.Rows())
	a.table(t)
	return nil
}

// domainFlag lets a command list what is in some domains only.
func (a *args) domainFlag() { a.flags.String("domain", "", "") }

// wantDomains refuses domains to list that are none, or not seen, and puts those of a set in
// the set's place.
func (a *args) wantDomains(t *store.Tx) (domains []string, err error) {
	f := a.flags.Lookup("domain")
	if f == nil || !a.cmd.lists() || a.cmd.name == "showdomainset" {
		return nil, nil
	}
	for _, want := range list(f.Value.String()) {
		if want == noDomainWord {
			domains = append(domains, want)
			continue
		}
		if set, is := cutSet(want); is {
			s, err := (&bookOf{t: t}).mustHaveSet(set)
			if err != nil {
				return nil, err
			}
			domains = append(domains, s.Domains...)
			continue
		}
		found := false
		if err := tables.domains.Each(t, func(_ string, d Domain) error {
			if !d.Removed && a.by.sees(d.Name) && likeName(want, d.Name) {
				found, domains = true, append(domains, d.Name)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if !found {
			return nil, noDomain(want)
		}
	}
	if f.Value.String() != "" && len(domains) == 0 {
		domains = []string{""} // an empty set: nothing
	}
	return domains, nil
}
