// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/table"
)

func domainCommands() []command {
	const look, change = people.Look, people.Domains
	return []command{
		{name: "createdomain", right: change, usage: "createdomain [-comment <text>] <domain>", about: "makes a domain, on both arrays: CPGs with their volumes, hosts, groups and sets can be in one, and users see and touch only what is in theirs", run: createDomain},
		{name: "setdomain", right: change, usage: "setdomain [-name <new>] [-comment <text>] <domain>", about: "gives a domain another name or comment, on both arrays", run: setDomain},
		{name: "removedomain", right: change, usage: "removedomain [-f] [-pat] <domain>...", about: "removes domains that nothing and nobody is in; -pat: those of patterns", run: removeDomain},
		{name: "showdomain", right: look, usage: "showdomain [-d] [<domain>...]", about: "lists the domains; -d: and what is in them", run: showDomain},
		{name: "movetodomain", right: change, usage: "movetodomain -vv|-cpg|-host|-hostset|-vvset|-rcgroup [-f] <object> <domain>|-unset", about: "moves an object to a domain, or out of all, with what belongs to it: a CPG with its volumes, and with the hosts, sets and groups that exports and membership join", run: moveToDomain},
		{name: "changedomain", right: look, usage: "changedomain <domain>|-all|-unset", about: "lets the session show and make what is in one domain only, until it is changed again; -all and -unset: in all that the user may see", run: changeDomain},
		{name: "createdomainset", right: change, usage: "createdomainset [-add] [-comment <text>] <set> [<domain>...]", about: "makes a set of domains, which -domain takes as set:<set>; -add gives one that exists more of them, or another comment", run: createDomainSet},
		{name: "setdomainset", right: change, usage: "setdomainset [-name <new>] [-comment <text>] <set>", about: "gives a set of domains another name or comment", run: setDomainSet},
		{name: "removedomainset", right: change, usage: "removedomainset [-f] <set> [<domain>...]", about: "removes a set of domains, or some domains from it; the domains stay", run: removeDomainSet},
		{name: "showdomainset", right: look, usage: "showdomainset [-d] [-domain] [<set or domain>...]", about: "lists the sets of domains; -domain: those that such domains are in, -d: with their comments", run: showDomainSet},
	}
}

// DomainFact is a domain.
type DomainFact struct {
	Name, Comment string
	// Objects are what is in it, without the volumes of its CPGs.
	Objects []string
}

// Domains returns those that are seen, by name.
func (v *View) Domains() (all []DomainFact, err error) {
	in, err := v.n.places()
	if err != nil {
		return nil, err
	}
	err = v.n.store.View(func(t *store.Tx) error {
		return tables.domains.Each(t, func(_ string, d Domain) error {
			if d.Removed || !v.by.sees(d.Name) {
				return nil
			}
			f := DomainFact{Name: d.Name, Comment: d.Comment}
			for k, domain := range in {
				if domain == d.Name {
					f.Objects = append(f.Objects, k.String())
				}
			}
			slices.Sort(f.Objects)
			all = append(all, f)
			return nil
		})
	})
	slices.SortFunc(all, func(a, b DomainFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// hasDomain wants a domain to exist; all always does.
func (n *Node) hasDomain(name string) error {
	if name == people.All {
		return nil
	}
	return n.store.View(func(t *store.Tx) error {
		_, err := (&bookOf{t: t}).mustHave(name)
		return err
	})
}

func createDomain(n *Node, ctx context.Context, a *args) error {
	comment := a.flags.String("comment", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	d := Domain{Name: a.rest[0], Comment: *comment}
	if err := checkDomain("domain", d.Name, d.Comment); err != nil {
		return err
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		if err := b.free(d.Name); err != nil {
			return err
		}
		return b.putDomain(d, false)
	})
}

// free refuses a name that a domain has.
func (b *bookOf) free(name string) error {
	_, ok, err := b.domain(name)
	if err == nil && ok {
		err = array.Errorf(array.Exists, "domain %s exists already", name).Because(array.DomainExists)
	}
	return err
}

func setDomain(n *Node, ctx context.Context, a *args) error {
	name, comment := a.flags.String("name", "", ""), a.flags.String("comment", "", "")
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if !a.given("name") && !a.given("comment") {
		return array.Errorf(array.Invalid, "setdomain: want -name or -comment; usage: %s", a.cmd.usage)
	}
	old := a.rest[0]
	if !a.given("name") {
		*name = old
	}
	if err := checkDomain("domain", *name, *comment); err != nil {
		return err
	}
	// Given two names apart, one domain would be two, each with some of its objects and users.
	if *name != old && n.paired() && !n.reachable() {
		return array.Errorf(array.Unavailable, "array %s does not answer: domain %s gets another name on both arrays at once", n.to().Name, old).Because(array.TargetSilent)
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		d, err := b.mustHave(old)
		if err != nil {
			return err
		}
		if a.given("comment") {
			d.Comment = *comment
		}
		if *name == old {
			return b.putDomain(d, false)
		}
		if err := b.free(*name); err != nil {
			return err
		}
		if err := b.rename(old, *name); err != nil {
			return err
		}
		if b.users, b.tell, err = n.people.RenamesIn(b.t, old, *name); err != nil {
			return fmt.Errorf("give the users of domain %s its new name: %w", old, err)
		}
		err = b.putDomain(d, true)
		d.Name = *name
		return orElse(err, b.putDomain(d, false))
	})
}

// rename puts all that is in a domain, or a set, under another name.
func (b *bookOf) rename(old, name string) error {
	in, err := domainsOf(b.t)
	if err != nil {
		return err
	}
	for k, domain := range in {
		if domain != old {
			continue
		}
		if err := b.place(k, name); err != nil {
			return err
		}
	}
	return b.eachSetOf(old, func(s *DomainSet) { s.Domains[slices.Index(s.Domains, old)] = name })
}

// eachSetOf changes the sets that a domain is in.
func (b *bookOf) eachSetOf(domain string, f func(*DomainSet)) error {
	var sets []DomainSet
	if err := tables.domainsets.Each(b.t, func(_ string, s DomainSet) error {
		if !s.Removed && slices.Contains(s.Domains, domain) {
			sets = append(sets, s)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, s := range sets {
		s.Domains = slices.Clone(s.Domains)
		f(&s)
		if err := b.putSet(s, false); err != nil {
			return err
		}
	}
	return nil
}

func removeDomain(n *Node, ctx context.Context, a *args) error {
	sure, pattern := a.confirmation(), a.flags.Bool("pat", false, "")
	if err := a.parse(1, -1); err != nil {
		return err
	}
	all, err := a.view().Domains()
	if err != nil {
		return err
	}
	var names []string
	found := map[string]bool{}
	for _, d := range all {
		if *pattern && a.names(d.Name, found) || slices.Contains(a.rest, d.Name) {
			names, found[d.Name] = append(names, d.Name), true
		}
	}
	for _, w := range a.rest {
		if !found[w] {
			return noDomain(w)
		}
	}
	if err := n.store.View(func(t *store.Tx) error { return nobodyIn(t, names) }); err != nil {
		return err
	}
	for _, d := range all {
		if slices.Contains(names, d.Name) && len(d.Objects) > 0 {
			return array.Errorf(array.Conflict, "domain %s holds %s: 'movetodomain' moves them", d.Name, some(d.Objects)).Because(array.DomainUsed)
		}
	}
	if err := sure("removedomain removes domain %s on both arrays", strings.Join(names, ", ")); err != nil {
		return err
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		if err := nobodyIn(b.t, names); err != nil { // who came meanwhile
			return err
		}
		for _, name := range names {
			d, err := b.mustHave(name)
			if err != nil {
				return err
			}
			d.Comment = ""
			if err := b.putDomain(d, true); err != nil {
				return err
			}
			if err := b.eachSetOf(name, func(s *DomainSet) {
				s.Domains = slices.DeleteFunc(s.Domains, func(d string) bool { return d == name })
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// nobodyIn refuses the removal of domains that a user is in.
func nobodyIn(t *store.Tx, domains []string) error {
	users, err := people.UsersIn(t)
	if err != nil {
		return err
	}
	for _, u := range users {
		for _, d := range domains {
			if u.In(d) || u.Default == d {
				return array.Errorf(array.Conflict, "user %s is in domain %s: 'setuser -rmdomain %s %s' or 'removeuser' first", u.Name, d, d, u.Name).Because(array.DomainUsed)
			}
		}
	}
	return nil
}

// some are the first of many.
func some(all []string) string {
	const most = 8
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

func showDomain(_ *Node, _ context.Context, a *args) error {
	detail := a.flags.Bool("d", false, "")
	if err := a.parse(0, -1); err != nil {
		return err
	}
	all, err := a.view().Domains()
	if err != nil {
		return err
	}
	cols := []string{">ID", "Domain", "VVRetentionTimeMax", "Comments"}
	if *detail {
		cols = append(cols, "Objects")
	}
	t, found, shown := table.New(cols...), map[string]bool{}, 0
	for _, d := range all {
		if len(a.rest) > 0 && !a.names(d.Name, found) {
			continue
		}
		shown++
		objects := d.Objects
		if !*detail || len(objects) == 0 {
			objects = []string{"-"}
		}
		for i, o := range objects {
			if i == 0 {
				t.Row(array.NumberOfName(d.Name), d.Name, "-", orDashText(d.Comment), o)
			} else {
				t.Row("", "", "", "", o)
			}
		}
	}
	if err := a.unnamed("domain", found); err != nil {
		return err
	}
	t.Total(shown, "total")
	a.table(t)
	return nil
}
