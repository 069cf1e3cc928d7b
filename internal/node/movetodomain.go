// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

func moveToDomain(n *Node, ctx context.Context, a *args) error {
	sure, none := a.confirmation(), a.flags.Bool("unset", false, "")
	kinds := []struct{ option, kind string }{{"vv", vvKind}, {"cpg", cpgKind}, {"host", hostKind}, {"hostset", hostSetKind}, {"vvset", vvSetKind}, {"rcgroup", groupKind}}
	for _, k := range kinds {
		a.flags.Bool(k.option, false, "")
	}
	// The incumbent has the word for no domain last, where options have ended.
	if last := len(a.rest) - 1; last >= 0 && a.rest[last] == noDomainWord {
		a.rest, *none = a.rest[:last], true
	}
	if err := a.parse(1, 2); err != nil {
		return err
	}
	m := mention{name: a.rest[0]}
	for _, k := range kinds {
		if a.given(k.option) {
			if m.kind != "" {
				return array.Errorf(array.Invalid, "movetodomain: want one of -vv, -cpg, -host, -hostset, -vvset and -rcgroup; usage: %s", a.cmd.usage)
			}
			m.kind = k.kind
		}
	}
	if m.kind == "" || *none == (len(a.rest) == 2) {
		return array.Errorf(array.Invalid, "movetodomain: want -vv, -cpg, -host, -hostset, -vvset or -rcgroup with an object and a domain, or -unset for none; usage: %s", a.cmd.usage)
	}
	domain := ""
	if !*none {
		domain = a.rest[1]
		if err := n.store.View(func(t *store.Tx) error { _, err := (&bookOf{t: t}).mustHave(domain); return err }); err != nil {
			return err
		}
	}
	var key objectKey
	if err := n.store.View(func(t *store.Tx) (err error) { key, err = n.keyOf(t, m); return err }); err != nil || key == "" {
		return orElse(err, m.missing())
	}
	all, err := n.tied(ctx, key)
	if err != nil {
		return err
	}
	if len(all) > placingsAtOnce {
		return array.Errorf(array.Full, "%v belongs with %d objects, of which %d can be moved at once", keyOf(m.kind, m.name), len(all)-1, placingsAtOnce)
	}
	if err := sure("%s", moveText(m, key, all, domain)); err != nil {
		return err
	}
	return n.changeBook(ctx, func(b *bookOf) error {
		if domain != "" {
			if _, err := b.mustHave(domain); err != nil {
				return err
			}
		}
		for _, k := range all {
			if err := b.place(k, domain); err != nil {
				return err
			}
		}
		return nil
	})
}

// moveText says what moves where.
func moveText(m mention, key objectKey, all []objectKey, domain string) string {
	to := "to domain " + domain
	if domain == "" {
		to = "out of all domains"
	}
	text := fmt.Sprintf("movetodomain moves %v %s", keyOf(m.kind, m.name), to)
	var with []string
	if m.kind == vvKind {
		with = append(with, key.String())
	}
	for _, k := range all {
		if k != key {
			with = append(with, k.String())
		}
	}
	if len(with) == 0 {
		if m.kind == cpgKind {
			text += ", with its volumes"
		}
		return text
	}
	return text + ", and what belongs with it, with all volumes of the CPGs: " + some(with)
}

// rePlace changes places that nobody may refuse.
func (n *Node) rePlace(ctx context.Context, f func(*bookOf) error) error {
	var b bookOf
	if err := n.store.Update(func(t *store.Tx) error {
		b = bookOf{t: t}
		return orElse(f(&b), boundBook(t))
	}); err != nil || b.now.empty() || !n.reachable() {
		return err
	}
	if err := n.tellBook(ctx, b.now, false); err != nil && !errors.As(err, new(unanswered)) {
		return err
	}
	return nil
}

// forgetPlaces forgets the places of what a command has removed.
func (n *Node) forgetPlaces(ctx context.Context, touched []mention) error {
	var gone []objectKey
	if err := n.store.View(func(t *store.Tx) error {
		for _, m := range touched {
			p, _, err := tables.placings.Get(t, string(keyOf(m.kind, m.name)))
			if err != nil {
				return err
			}
			if p.Domain == "" {
				continue
			}
			key, err := n.keyOf(t, m)
			if err != nil {
				return err
			}
			if key == "" {
				gone = append(gone, p.Object)
			}
		}
		return nil
	}); err != nil || len(gone) == 0 {
		return err
	}
	return n.rePlace(ctx, func(b *bookOf) error {
		for _, k := range slices.Compact(gone) {
			if err := b.place(k, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func changeDomain(n *Node, _ context.Context, a *args) error {
	all, none := a.flags.Bool("all", false, ""), a.flags.Bool("unset", false, "")
	if err := a.parse(0, 1); err != nil {
		return err
	}
	if (*all || *none) == (len(a.rest) == 1) {
		return array.Errorf(array.Invalid, "changedomain: want a domain, -all or -unset; usage: %s", a.cmd.usage)
	}
	domain := ""
	if len(a.rest) == 1 {
		by := a.by
		by.Domain = "" // the one it is in now is no limit
		if domain = a.rest[0]; !by.sees(domain) {
			return noDomain(domain)
		}
		if err := n.hasDomain(domain); err != nil {
			return err
		}
	}
	return n.people.Enter(a.by.session, domain)
}

// firstCPG is the first CPG that is in the same domain as a group.
func (n *Node) firstCPG(group string) (string, error) {
	in, err := n.places()
	if err != nil {
		return "", err
	}
	domain := in[keyOf(groupKind, group)]
	for _, c := range n.cfg.CPGs {
		if in[keyOf(cpgKind, c.Name)] == domain {
			return c.Name, nil
		}
	}
	return "", array.Errorf(array.NotFound, "no CPG is in the same domain as group %s: 'movetodomain -cpg' puts one there", group).Because(array.OtherDomain)
}
