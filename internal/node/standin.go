// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/takeover"
)

// Movable is a portal whose address this daemon sets, so that the other array can take it
// over.
type Movable struct {
	Portal string `toml:"portal"`
	// Network is the length of its network's prefix, Device where it is set.
	Network int    `toml:"network"`
	Device  string `toml:"device"`
	// Tag is the target portal group tag of one of the other array: its place in the
	// other's iscsi.portals, from 1.
	Tag int `toml:"tag"`
}

func (m Movable) address() (takeover.Address, error) {
	ap, err := netip.ParseAddrPort(m.Portal)
	if err != nil {
		return takeover.Address{}, err
	}
	return takeover.Address{Prefix: netip.PrefixFrom(ap.Addr(), m.Network), Device: m.Device}, nil
}

func (c *Config) checkTakeover() error {
	own, others := c.ISCSI.Takeover, c.Target.Takeover
	for portal := range c.ISCSI.Allow {
		if !slices.Contains(c.ISCSI.Portals, portal) && !slices.ContainsFunc(others, func(m Movable) bool { return m.Portal == portal }) {
			return bad("iscsi.allow", portal, "want one of iscsi.portals, or of target.takeover")
		}
	}
	if len(own) > 16 || len(others) > 16 {
		return bad("takeover", len(own)+len(others), "want at most 16 portals of each array")
	}
	if len(own)+len(others) > 0 && c.Target.alone() {
		return bad("iscsi.takeover", len(own), "there is no other array: want a target, or no takeover")
	}
	if len(others) > 0 && (!strings.HasPrefix(c.Target.ISCSIName, "iqn.") || c.Target.ISCSIName == c.ISCSI.Name) {
		return bad("target.iscsi_name", c.Target.ISCSIName, "want the other array's iscsi.name, which this one has when it stands in at target.takeover")
	}
	seen, tags := map[netip.Addr]string{}, map[int]bool{}
	for i, m := range append(slices.Clone(own), others...) {
		key, mine := "target.takeover", i < len(own)
		if mine {
			key = "iscsi.takeover"
		}
		a, err := m.address()
		switch {
		case err != nil || !a.Prefix.Addr().Is4() || a.Prefix.Addr().IsUnspecified():
			return bad(key+".portal", m.Portal, "want an IPv4 address and a port, as 192.0.2.1:3260")
		case m.Network < 1 || m.Network > 32:
			return bad(key+".network", m.Network, "want the length of %s's network, 1 to 32", m.Portal)
		case m.Device == "":
			return bad(key+".device", "", "want the network device that %s is set on", m.Portal)
		case seen[a.Prefix.Addr()] != "":
			return bad(key+".portal", m.Portal, "its address is there already: each is set once")
		case mine && !slices.Contains(c.ISCSI.Portals, m.Portal):
			return bad(key+".portal", m.Portal, "want one of iscsi.portals")
		case mine && m.Tag != 0:
			return bad(key+".tag", m.Tag, "it is for target.takeover: this array's own portals have the tags of their places in iscsi.portals")
		case !mine && (m.Tag < 1 || m.Tag > 16 || tags[m.Tag]):
			return bad(key+".tag", m.Tag, "want the place of %s in the other array's iscsi.portals, 1 to 16, each once", m.Portal)
		case !mine && slices.Contains(c.ISCSI.Portals, m.Portal):
			return bad(key+".portal", m.Portal, "it is one of this array's iscsi.portals")
		}
		seen[a.Prefix.Addr()] = m.Portal
		if !mine {
			tags[m.Tag] = true
		}
	}
	return nil
}

// portCount is how many ports an array is told to have: of the other's this one knows
// those at which it may have to stand in, and takes them for as many as its own.
func (n *Node) portCount(s array.Side) int {
	count := len(n.cfg.ISCSI.Portals)
	if s == n.side() {
		return count
	}
	for _, m := range n.cfg.Target.Takeover {
		count = max(count, m.Tag)
	}
	return count
}

// guests are the portals of the other array, for when this one stands in there.
func (n *Node) guests() (all []iscsi.PortalGroup, err error) {
	for _, m := range n.cfg.Target.Takeover {
		allow, err := iscsi.ParseAllowed(n.cfg.ISCSI.Allow[m.Portal])
		if err != nil {
			return nil, fmt.Errorf("iscsi.allow of %s: %w", m.Portal, err)
		}
		all = append(all, iscsi.PortalGroup{
			Allow: allow, Tag: uint16(m.Tag), Relative: n.ports(n.side().Other(), m.Tag)[m.Tag-1], Listen: []string{m.Portal},
			Guest: n.cfg.Target.ISCSIName, Movable: true,
		})
	}
	return all, nil
}

// openTakeover begins to keep the addresses that are this daemon's to set.
func (n *Node) openTakeover() error {
	if len(n.cfg.ISCSI.Takeover)+len(n.cfg.Target.Takeover) == 0 {
		return nil
	}
	c := takeover.Config{
		Network: takeover.Linux{}, Now: boottime.Now, Facts: n.standing, StandIn: n.standIn, Event: n.event, Alarm: n.alarm,
	}
	for _, m := range n.cfg.ISCSI.Takeover {
		a, err := m.address()
		if err != nil {
			return err
		}
		c.Own = append(c.Own, a)
	}
	for _, m := range n.cfg.Target.Takeover {
		a, err := m.address()
		if err != nil {
			return err
		}
		c.Others = append(c.Others, a)
	}
	k, err := takeover.Start(c)
	if err != nil {
		return fmt.Errorf("iscsi.takeover and target.takeover of the configuration: %w", err)
	}
	n.keeper.Store(k)
	return nil
}

// standing is how this array stands to the other.
func (n *Node) standing() (f takeover.Facts) {
	if p := n.other(); p != nil {
		f.Contact, f.PeerStandsIn, f.Granting = p.Standing()
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, r := range n.groups {
		if r.rec.Private {
			continue
		}
		if f.Mirrored++; r.g.ServesAlone() {
			f.Alone++
		}
	}
	for _, u := range n.unopened {
		if !u.rec.Private {
			f.Mirrored++
		}
	}
	return f
}

// standsIn reports whether this array has, or may have, portal addresses of the other: until
// that was looked at, a process before this one may have left some behind.
func (n *Node) standsIn() bool {
	k := n.keeper.Load()
	return k == nil && len(n.cfg.Target.Takeover) > 0 || k.StandsIn()
}

var errReturned = errors.New("this array no longer stands in for the other one: log in again, it is there")

// standIn tells groups and hosts.
func (n *Node) standIn(on bool) {
	n.mu.RLock()
	for _, r := range n.groups {
		r.g.StandIn(on)
	}
	n.mu.RUnlock()
	if !on {
		n.target.DropGuests(errReturned)
	}
}
