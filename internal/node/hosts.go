// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/store"
)

// maxInitiators bounds the iSCSI names of a host.
const maxInitiators = 64

// setCHAP sets the account that a host logs in with, if there is one.
func (h *Host) setCHAP(account string) error {
	if account == "" {
		return nil
	}
	user, secret, ok := strings.Cut(account, ":")
	if !ok || user == "" || len(secret) < 12 || len(secret) > 64 {
		return array.Errorf(array.Invalid, "host %s: -chap: want user:secret with a secret of 12 to 64 characters", h.Name)
	}
	h.CHAPUser, h.CHAPSecret = user, secret
	return nil
}

// check finds what can't be meant.
func (h *Host) check() error {
	if err := h.checkPersona(); err != nil {
		return err
	}
	if !validName(h.Name) {
		return array.Errorf(array.Invalid, "host name %q: %s", h.Name, nameWanted)
	}
	if len(h.Initiators) == 0 || len(h.Initiators) > maxInitiators {
		return array.Errorf(array.Invalid, "host %s: %d initiators, want 1 to %d", h.Name, len(h.Initiators), maxInitiators)
	}
	for what, text := range h.Descriptors {
		if len(text) > maxDescriptor {
			return array.Errorf(array.Invalid, "host %s: -%s has %d bytes, want at most %d", h.Name, what, len(text), maxDescriptor)
		}
	}
	for _, i := range h.Initiators {
		if len(i) > 223 || !initiatorName(i) {
			return array.Errorf(array.Invalid, "host %s: initiator name %.80q: want an iSCSI name (iqn., eui. or naa.) of at most 223 bytes", h.Name, i)
		}
	}
	return nil
}

// initiatorName reports whether a text could be an iSCSI name.
func initiatorName(s string) bool {
	return strings.HasPrefix(s, "iqn.") || strings.HasPrefix(s, "eui.") || strings.HasPrefix(s, "naa.")
}

// rightToHost: -add changes a host that exists.
func rightToHost(words []string) people.Right {
	for _, w := range words {
		if name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "="); w != "" && w[0] == '-' && name == "add" {
			return people.Change
		}
	}
	return people.Make
}

func createHost(n *Node, ctx context.Context, a *args) error {
	a.domainFlag()
	a.flags.Bool("iscsi", false, "") // all are
	persona := a.flags.Int("persona", 2, "")
	chap, add, about := a.flags.String("chap", "", ""), a.flags.Bool("add", false, ""), descriptorFlags(a)
	if err := a.parse(2, 1+maxInitiators); err != nil {
		return err
	}
	if *add {
		return n.changeHost(ctx, a.rest[0], func(h *Host) error {
			for _, i := range a.rest[1:] {
				if slices.Contains(h.Initiators, i) {
					return array.Errorf(array.Exists, "initiator %s is already used by host %s", i, h.Name).Because(array.InitiatorTaken)
				}
				h.Initiators = append(h.Initiators, i)
			}
			return nil
		})
	}
	h := Host{Name: a.rest[0], Persona: *persona, Initiators: a.rest[1:]}
	for k, i := range h.Initiators {
		if slices.Contains(h.Initiators[:k], i) {
			return array.Errorf(array.Invalid, "host %s: initiator %.80s is said twice", h.Name, i)
		}
	}
	about.of(a, &h)
	if err := h.setCHAP(*chap); err != nil {
		return err
	}
	return n.changeHosts(ctx, hostChange{Name: h.Name, Now: &h}, a.place())
}

func setHost(n *Node, ctx context.Context, a *args) error {
	persona := a.flags.Int("persona", 0, "")
	chap, none, about := a.flags.String("chap", "", ""), a.flags.Bool("nochap", false, ""), descriptorFlags(a)
	if err := a.parse(1, 1); err != nil {
		return err
	}
	if *persona == 0 && *chap == "" && !*none && !about.given(a) || *chap != "" && *none {
		return array.Errorf(array.Invalid, "sethost: want -persona, a descriptor, or one of -chap and -nochap; usage: %s", a.cmd.usage)
	}
	return n.changeHost(ctx, a.rest[0], func(h *Host) error {
		if *persona != 0 {
			h.Persona = *persona
		}
		if *none {
			h.CHAPUser, h.CHAPSecret = "", ""
		}
		about.of(a, h)
		return h.setCHAP(*chap)
	})
}

func removeHost(n *Node, ctx context.Context, a *args) error {
	sure := a.confirmation()
	if err := a.parse(1, 1+maxInitiators); err != nil {
		return err
	}
	name := a.rest[0]
	if len(a.rest) > 1 {
		return n.changeHost(ctx, name, func(h *Host) error {
			for _, i := range a.rest[1:] {
				if !slices.Contains(h.Initiators, i) {
					return array.Errorf(array.NotFound, "initiator %s does not belong to host %s", i, name).Because(array.NoInitiator)
				}
				h.Initiators = slices.DeleteFunc(h.Initiators, func(o string) bool { return o == i })
			}
			if len(h.Initiators) == 0 {
				return array.Errorf(array.Invalid, "host %s would have no initiator left: 'removehost -f %s' removes it", name, name)
			}
			return sure("removehost takes %s from host %s, which can't log in with it any more", strings.Join(a.rest[1:], ", "), name)
		})
	}
	h, err := n.host(name)
	if err != nil {
		return err
	}
	if err := n.store.View(func(t *store.Tx) error { return hostUnused(t, name, everywhere) }); err != nil {
		return err
	}
	if err := sure("removehost removes host %s on both arrays", name); err != nil {
		return err
	}
	return n.changeHosts(ctx, hostChange{Name: name, Was: &h}, newPlace{})
}

func (n *Node) host(name string) (h Host, err error) {
	err = n.store.View(func(t *store.Tx) error {
		var ok bool
		h, ok, err = tables.hosts.Get(t, name)
		return orElse(err, orExists(ok, name))
	})
	return h, err
}

func orExists(ok bool, name string) error {
	if !ok {
		return array.Errorf(array.NotFound, "host %s does not exist", name).Because(array.NoHost)
	}
	return nil
}

// changeHost changes a host that exists.
func (n *Node) changeHost(ctx context.Context, name string, f func(*Host) error) error {
	was, err := n.host(name)
	if err != nil {
		return err
	}
	now := was
	now.Initiators = slices.Clone(was.Initiators)
	if err := f(&now); err != nil {
		return err
	}
	return n.changeHosts(ctx, hostChange{Name: name, Was: &was, Now: &now}, newPlace{})
}
