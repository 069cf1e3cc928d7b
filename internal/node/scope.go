// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// This is the one place where a command is held to what its caller may see and touch. Each
// command's words are known by kind (namings.go); what they name is looked up when they are
// read, before the command does anything. What is outside is answered as what does not exist.

// scope is what a caller sees.
type scope struct {
	by Caller
	// only are domains that were asked for; none: all.
	only []string
	in   map[objectKey]string
}

func (n *Node) scopeOf(by Caller) (scope, error) {
	in, err := n.places()
	return scope{by: by, in: in}, err
}

// sees reports whether what is in a domain, or in none, is seen.
func (s scope) sees(domain string) bool {
	switch {
	case !s.by.sees(domain):
		return false
	case len(s.only) == 0:
		return true
	}
	return domain != "" && slices.Contains(s.only, domain) || domain == "" && slices.Contains(s.only, noDomainWord)
}

// noDomainWord stands for no domain.
const noDomainWord = "-unset"

func (by Caller) sees(domain string) bool {
	return (by.Domain == "" || by.Domain == domain) && by.MayIn(domain, people.Look)
}

// everything reports whether the caller sees all there is.
func (by Caller) everything() bool { return by.Domain == "" && by.Role.May(people.Look) }

func (s scope) all() bool { return s.by.everything() && len(s.only) == 0 }

func (s scope) object(kind, name string) bool { return s.sees(s.in[keyOf(kind, name)]) }

// mention is an object that words name, by its kind.
type mention struct {
	kind, name string
	// fresh: the command may make it.
	fresh bool
}

func cutSet(word string) (string, bool) { return strings.CutPrefix(word, "set:") }

// key is what says in which domain it is; empty if there is no such object.
func (n *Node) keyOf(t *store.Tx, m mention) (key objectKey, err error) {
	ok := false
	switch m.kind {
	case vvKind:
		var v VV
		v, ok, err = n.vvNamed(t, m.name)
		key = keyOf(cpgKind, v.CPG)
	case cpgKind:
		key, ok = keyOf(cpgKind, m.name), n.cpgs[m.name] != nil
	case hostKind:
		_, ok, err = tables.hosts.Get(t, m.name)
		key = keyOf(hostKind, m.name)
	case hostSetKind:
		_, ok, err = tables.sets.Get(t, m.name)
		key = keyOf(hostSetKind, m.name)
	case vvSetKind:
		ok, err = hasVVSet(t, m.name)
		key = keyOf(vvSetKind, m.name)
	case groupKind:
		err = tables.groups.With(t, byGroupName, m.name, func(_ string, g RCGroup) error { ok = ok || !g.Private; return nil })
		key = keyOf(groupKind, m.name)
	case schedKind:
		var s Schedule
		if s, ok, err = tables.scheds.Get(t, m.name); err == nil && ok {
			key, err = keyOfGroup(t, s.Group)
		}
	}
	if err != nil || !ok {
		return "", err
	}
	return key, nil
}

func hasVVSet(t *store.Tx, name string) (bool, error) {
	if s, ok, err := tables.vvsets.Get(t, name); err != nil || ok && !s.Removed {
		return ok, err
	}
	has := false // one from before sets had descriptions
	err := tables.vvs.Each(t, func(_ string, v VV) error { has = has || slices.Contains(v.Sets, name); return nil })
	return has, err
}

// keyOfGroup is that of a group or, if it is private, of its volume's CPG.
func keyOfGroup(t *store.Tx, id array.GroupID) (key objectKey, err error) {
	g, _, err := tables.groups.Get(t, store.Key(uint64(id)))
	if err != nil || !g.Private {
		return keyOf(groupKind, g.Name), err
	}
	err = tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error { key = keyOf(cpgKind, v.CPG); return nil })
	return key, err
}

// missing is the error of what does not exist, or is not seen.
func (m mention) missing() error {
	what := map[string]array.Reason{vvKind: array.NoVolume, cpgKind: array.NoCPG, hostKind: array.NoHost, hostSetKind: array.NoHostSet, vvSetKind: array.NoVolumeSet, groupKind: array.NoGroup}
	if m.kind == schedKind {
		return array.Errorf(array.NotFound, "schedule %s does not exist", m.name)
	}
	return array.Errorf(array.NotFound, "%v does not exist", keyOf(m.kind, m.name)).Because(what[m.kind])
}

// scoped holds a command to its caller's domains, once its words are read, and what it joins
// to one domain.
func (a *args) scoped() error {
	nm, ok := namings()[a.cmd.name]
	if !ok || a.n == nil {
		return nil
	}
	right := a.cmd.needs(a.words)
	ms, err := nm.mentions(a)
	if err != nil {
		return err
	}
	slices.SortStableFunc(ms, func(x, y mention) int { return b2i(x.fresh) - b2i(y.fresh) }) // a new one's name says nothing of the others
	return a.n.store.View(func(t *store.Tx) error {
		if a.domains, err = a.wantDomains(t); err != nil {
			return err
		}
		made := nm.madeBy(a)
		var first *mention
		domain := ""
		for _, m := range ms {
			key, err := a.n.keyOf(t, m)
			if err != nil {
				return err
			}
			same := made.kind == m.kind && made.name == m.name
			if key == "" && (a.by.everything() || m.fresh || same) {
				continue // the command says so, if it matters
			}
			if key == "" {
				return m.missing() // as of what is not seen
			}
			if same {
				made = mention{} // it is there already
			}
			d, err := domainIn(t, key)
			switch {
			case err != nil:
				return err
			case same && !a.by.sees(d) && !a.adds():
				continue // the name is taken, and that is all the command says
			case !a.by.sees(d):
				return m.missing()
			case !a.by.MayIn(d, right):
				return array.Errorf(array.Denied, "%s: user %s has the role %s, which lacks the right %q for %v", a.cmd.name, a.by.User, a.by.Text(), right, keyOf(m.kind, m.name))
			case nm.joins && first != nil && d != domain:
				return notTogether(m, d, *first, domain)
			}
			if first == nil {
				first, domain = &m, d
			}
			if kind, _ := key.parts(); kind == m.kind && kind != cpgKind {
				a.touched = append(a.touched, m)
			}
		}
		if made == (mention{}) {
			return a.onlyNew(nm)
		}
		return a.placeMade(t, right, made, first, domain)
	})
}

// adds reports whether the command is to add to what is there.
func (a *args) adds() bool {
	add := a.flags.Lookup("add")
	return add != nil && add.Value.String() == "true"
}

// onlyNew refuses -domain where it would change nothing.
func (a *args) onlyNew(nm naming) error {
	if nm.makes != "" && a.given("domain") && a.adds() {
		return array.Errorf(array.Invalid, "%s: -domain goes with what is new: 'movetodomain' moves what is there", a.cmd.name)
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func notTogether(m mention, d string, o mention, domain string) error {
	where := func(d string) string {
		if d == "" {
			return "no domain"
		}
		return "domain " + d
	}
	return array.Errorf(array.Conflict, "%v is not in the same domain as %v: %s and %s; 'movetodomain' moves objects", keyOf(m.kind, m.name), keyOf(o.kind, o.name), where(d), where(domain)).Because(array.OtherDomain)
}

// placeMade finds out in which domain a new object is to be: in that of what it joins, in the
// one that is said, in the session's, or in the only one that its caller may make it in.
func (a *args) placeMade(t *store.Tx, right people.Right, made mention, first *mention, joined string) error {
	domain := a.by.Domain
	if own := a.by.mayMakeIn(right); domain == "" && len(own) == 1 {
		domain = own[0]
	}
	switch given := a.flags.Lookup("domain"); {
	case given != nil && given.Value.String() != "":
		if domain = given.Value.String(); domain == noDomainWord {
			domain = ""
		} else if !a.by.sees(domain) {
			return noDomain(domain)
		} else if _, err := (&bookOf{t: t}).mustHave(domain); err != nil {
			return err
		}
		if first != nil && domain != joined {
			return notTogether(made, domain, *first, joined)
		}
	case first != nil:
		domain = joined
	case domain == "" && !a.by.Role.May(right):
		return array.Errorf(array.Invalid, "%s: user %s has the role %s: say in which domain with -domain, or 'changedomain' first", a.cmd.name, a.by.User, a.by.Text())
	}
	if !a.by.MayIn(domain, right) {
		return array.Errorf(array.Denied, "%s: user %s has the role %s, which lacks the right %q outside", a.cmd.name, a.by.User, a.by.Text(), right)
	}
	a.made, a.into = made, domain
	return nil
}

// mayMakeIn are the domains that a user who may not do it in all has a right in.
func (by Caller) mayMakeIn(right people.Right) (domains []string) {
	if by.Role.May(right) {
		return nil
	}
	for _, p := range by.Domains {
		if p.Role.May(right) {
			domains = append(domains, p.Domain)
		}
	}
	return domains
}
