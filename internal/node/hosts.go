// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// maxPersona is the highest host persona of the incumbent's list.
const maxPersona = 15

func createHost(n *Node, _ context.Context, a *args) error {
	persona := a.flags.Int("persona", 2, "")
	chap := a.flags.String("chap", "", "")
	if err := a.parse(2, 65); err != nil {
		return err
	}
	h := Host{Name: a.rest[0], Persona: *persona, Initiators: a.rest[1:]}
	if h.Persona < 1 || h.Persona > maxPersona {
		return array.Errorf(array.Invalid, "-persona %d: want 1 to %d", h.Persona, maxPersona)
	}
	if !validName(h.Name) {
		return array.Errorf(array.Invalid, "host name %q: want 1 to 31 letters, digits, '.', '_' or '-'", h.Name)
	}
	for _, i := range h.Initiators {
		if len(i) > 223 || !strings.HasPrefix(i, "iqn.") && !strings.HasPrefix(i, "eui.") && !strings.HasPrefix(i, "naa.") {
			return array.Errorf(array.Invalid, "initiator name %q: want an iSCSI name (iqn., eui. or naa.) of at most 223 bytes", i)
		}
	}
	if *chap != "" {
		user, secret, ok := strings.Cut(*chap, ":")
		if !ok || user == "" || len(secret) < 12 || len(secret) > 64 {
			return array.Errorf(array.Invalid, "-chap: want user:secret with a secret of 12 to 64 characters")
		}
		h.CHAPUser, h.CHAPSecret = user, secret
	}
	err := n.store.Update(func(t *store.Tx) error {
		if err := tables.hosts.Each(t, func(_ string, o Host) error {
			if o.Name == h.Name {
				return array.Errorf(array.Exists, "host %s exists already", h.Name)
			}
			for _, i := range h.Initiators {
				for _, j := range o.Initiators {
					if i == j {
						return array.Errorf(array.Exists, "initiator %s belongs to host %s already", i, o.Name)
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Put(t, h.Name, h)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

func removeHost(n *Node, _ context.Context, a *args) error {
	if err := a.parse(1, 1); err != nil {
		return err
	}
	name := a.rest[0]
	err := n.store.Update(func(t *store.Tx) error {
		if _, ok, err := tables.hosts.Get(t, name); err != nil || !ok {
			return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", name))
		}
		if err := tables.vluns.Each(t, func(_ string, v VLUN) error {
			if v.Host == name {
				return array.Errorf(array.Conflict, "host %s sees LUN %d: remove its VLUNs first", name, v.LUN)
			}
			return nil
		}); err != nil {
			return err
		}
		if err := tables.sets.Each(t, func(_ string, s HostSet) error {
			if slices.Contains(s.Hosts, name) {
				return array.Errorf(array.Conflict, "host %s is in host set %s", name, s.Name)
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Delete(t, name)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}

func createHostSet(n *Node, _ context.Context, a *args) error {
	if err := a.parse(2, 129); err != nil {
		return err
	}
	s := HostSet{Name: a.rest[0], Hosts: a.rest[1:]}
	err := n.store.Update(func(t *store.Tx) error {
		if _, ok, err := tables.sets.Get(t, s.Name); err != nil || ok {
			return orElse(err, array.Errorf(array.Exists, "host set %s exists already", s.Name))
		}
		for _, h := range s.Hosts {
			if _, ok, err := tables.hosts.Get(t, h); err != nil || !ok {
				return orElse(err, array.Errorf(array.NotFound, "host %s does not exist", h))
			}
		}
		if err := tables.sets.Put(t, s.Name, s); err != nil {
			return err
		}
		return checkSight(t)
	})
	if err != nil {
		return err
	}
	return n.exports.rebuild()
}
