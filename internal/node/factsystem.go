// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/pki"
	"github.com/perdure/perdure/internal/store"
)

// SystemFact is the array itself.
type SystemFact struct {
	Name  string
	ID    array.SystemID
	Start array.StartID
	Now   time.Time
	// Target is the other array's name, empty if there is none.
	Target   string
	TargetID array.SystemID
	// Key is the array's, by which the other one and people's programs know it.
	Key pki.Pin
}

// System returns what the array is.
func (n *Node) System() SystemFact {
	return SystemFact{
		Name: n.cfg.Name, ID: n.cfg.SystemID, Start: n.start, Now: n.now(),
		Target: n.to().Name, TargetID: n.to().SystemID, Key: n.ident.Pin(),
	}
}

// Number is what people know a volume or group by, from its id.
func (s SystemFact) Number(id uint64) uint64 { return array.NumberOf(id, s.ID, s.TargetID) }

// HostFact is a host; its CHAP secret is told to nobody.
type HostFact struct {
	Name        string
	Persona     int
	Initiators  []string
	CHAP        string // the account's name, empty for none
	Descriptors map[string]string
	Sets        []string
	Domain      string // empty for none
	// Paths are its sessions with this array.
	Paths []PathFact
}

// PathFact is a session of an initiator.
type PathFact struct {
	Initiator, Address string
	// Port is the portal's number, from 1.
	Port int
}

// Hosts returns the hosts, by name.
func (n *Node) Hosts() (all []HostFact, err error) {
	sets := map[string][]string{}
	err = n.store.View(func(t *store.Tx) error {
		in, err := domainsOf(t)
		if err != nil {
			return err
		}
		if err := tables.sets.Each(t, func(_ string, s HostSet) error {
			for _, h := range s.Hosts {
				sets[h] = append(sets[h], s.Name)
			}
			return nil
		}); err != nil {
			return err
		}
		return tables.hosts.Each(t, func(_ string, h Host) error {
			f := HostFact{Name: h.Name, Persona: h.Persona, Initiators: slices.Clone(h.Initiators), Descriptors: h.Descriptors, Domain: in[keyOf(hostKind, h.Name)]}
			if h.CHAPSecret != "" {
				f.CHAP = h.CHAPUser
			}
			slices.Sort(f.Initiators)
			all = append(all, f)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	paths := map[string][]PathFact{}
	for _, s := range n.sessions() {
		paths[s.Initiator] = append(paths[s.Initiator], PathFact{Initiator: s.Initiator, Address: s.Remote, Port: int(s.Tag)})
	}
	for i := range all {
		all[i].Sets = sets[all[i].Name]
		slices.Sort(all[i].Sets)
		for _, in := range all[i].Initiators {
			all[i].Paths = append(all[i].Paths, paths[in]...)
		}
	}
	slices.SortFunc(all, func(a, b HostFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (n *Node) sessions() []iscsi.SessionInfo {
	if n.target == nil {
		return nil
	}
	return n.target.Sessions()
}

// SetFact is a set of hosts or of volumes.
type SetFact struct {
	Name, Comment string
	Domain        string // empty for none
	Members       []string
	// Limited: a rule limits what hosts do to the volumes.
	Limited bool
}

// HostSets returns the sets of hosts, by name.
func (n *Node) HostSets() (all []SetFact, err error) {
	err = n.store.View(func(t *store.Tx) error {
		in, err := domainsOf(t)
		if err != nil {
			return err
		}
		return tables.sets.Each(t, func(_ string, s HostSet) error {
			all = append(all, SetFact{Name: s.Name, Domain: in[keyOf(hostSetKind, s.Name)], Comment: s.Comment, Members: slices.Clone(s.Hosts)})
			return nil
		})
	})
	slices.SortFunc(all, func(a, b SetFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// PortFact is a portal of the iSCSI target, or an address for links.
type PortFact struct {
	// Number counts ports of a kind from 1.
	Number  int
	Address string
	Port    int
	// Name is the target's iSCSI name, or the link's.
	Name string
	// Link: the other array uses it, else hosts do.
	Link     bool
	Sessions int
}

// Ports returns them, iSCSI first.
func (n *Node) Ports() (all []PortFact) {
	used := map[int]int{}
	for _, s := range n.sessions() {
		used[int(s.Tag)]++
	}
	var bound []net.Addr
	if n.target != nil {
		bound = n.target.Addrs()
	}
	for i, p := range n.cfg.ISCSI.Portals {
		if i < len(bound) {
			p = bound[i].String()
		}
		all = append(all, portFact(i+1, p, n.cfg.ISCSI.Name, false))
		all[i].Sessions = used[i+1]
	}
	for _, l := range n.linkPorts() {
		all = append(all, portFact(l.port, l.Listen, l.Name, true))
	}
	return all
}

func portFact(number int, address, name string, link bool) PortFact {
	f := PortFact{Number: number, Name: name, Link: link}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		f.Address = address
		return f
	}
	f.Address = host
	f.Port, _ = strconv.Atoi(port)
	return f
}
