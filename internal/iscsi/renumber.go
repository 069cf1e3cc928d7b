// SPDX-License-Identifier: Apache-2.0

package iscsi

import (
	"errors"
	"slices"
)

// errRenumbered ends sessions that know their target port by another id.
var errRenumbered = errors.New("the target port has another id")

// Renumber gives the portal groups, in the order of the configuration, other relative
// target port ids. Sessions end: hosts that log in again find the new ones.
func (t *Target) Renumber(relative []uint16) {
	t.mu.Lock()
	t.renumbered = slices.Clone(relative)
	t.mu.Unlock()
	t.DropAll(errRenumbered)
}

// relative is the port id that a session through a portal group has.
func (t *Target) relative(g *PortalGroup) uint16 {
	if g.Guest != "" {
		return g.Relative
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.cfg.Groups, func(o PortalGroup) bool { return o.Guest == "" && o.Tag == g.Tag })
	if i < 0 || i >= len(t.renumbered) {
		return g.Relative
	}
	return t.renumbered[i]
}
