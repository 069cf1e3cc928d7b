// SPDX-License-Identifier: Apache-2.0

package node

import (
	"maps"
	"reflect"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// sight is all that says which initiator sees which volume at which LUN. A LUN that an
// initiator sees must never be two volumes: which of them a running host writes to would
// depend on an order, and change.
type sight struct {
	// on names the array to another one that asked, as "... on array a"; empty: this one.
	on    string
	hosts map[string]Host
	sets  map[string]HostSet
	vluns []VLUN
	vvs   map[array.VolumeID]VV
	// groups are those with hosts of a proximity.
	groups map[array.GroupID]RCGroup
	// in is in which domains they are; nil where nobody asks.
	in map[objectKey]string
}

// loadHosts is the sight without volumes and exports: what there are as many of as there
// are hosts.
func loadHosts(t *store.Tx) (*sight, error) {
	s := &sight{hosts: map[string]Host{}, sets: map[string]HostSet{}, vvs: map[array.VolumeID]VV{}, groups: map[array.GroupID]RCGroup{}}
	if err := tables.hosts.Each(t, func(_ string, h Host) error { s.hosts[h.Name] = h; return nil }); err != nil {
		return nil, err
	}
	return s, tables.sets.Each(t, func(_ string, x HostSet) error { s.sets[x.Name] = x; return nil })
}

// placed is the sight with the domains of what is in it.
func (s *sight) placed(t *store.Tx) (err error) {
	s.in, err = domainsOf(t)
	return err
}

func loadSight(t *store.Tx) (*sight, error) {
	s, err := loadHosts(t)
	if err != nil {
		return nil, err
	}
	if err := tables.vvs.Each(t, func(_ string, v VV) error { s.vvs[v.ID] = v; return nil }); err != nil {
		return nil, err
	}
	if err := tables.groups.Each(t, func(_ string, g RCGroup) error {
		if len(g.Near) > 0 {
			s.groups[g.ID] = g
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return s, tables.vluns.Each(t, func(_ string, v VLUN) error { s.vluns = append(s.vluns, v); return nil })
}

// initiators returns the iSCSI names of a host or, as set:name, of a set's hosts.
func (s *sight) initiators(host string) (all []string) {
	for _, h := range s.hostsOf(host) {
		all = append(all, h.Initiators...)
	}
	return all
}

// hostsOf returns a host or, of set:name, a set's hosts.
func (s *sight) hostsOf(host string) (all []Host) {
	names := []string{host}
	if set, ok := strings.CutPrefix(host, "set:"); ok {
		names = s.sets[set].Hosts
	}
	for _, name := range names {
		if h, ok := s.hosts[name]; ok {
			all = append(all, h)
		}
	}
	return all
}

// seen returns what each initiator sees, and an error if a LUN would be two volumes;
// then it is always the same one of them.
func (s *sight) seen() (map[string]map[uint16]VLUN, error) {
	seen := map[string]map[uint16]VLUN{}
	var double error
	for _, l := range s.vluns {
		for _, i := range s.initiators(l.Host) {
			if seen[i] == nil {
				seen[i] = map[uint16]VLUN{}
			}
			o, ok := seen[i][l.LUN]
			if ok && o.Volume != l.Volume {
				double = s.double(i, o, l, func(id array.VolumeID) string { return s.vvs[id].Name })
				continue
			}
			seen[i][l.LUN] = l
		}
	}
	return seen, double
}

// checkSight refuses a transaction after which a LUN would be two volumes.
func checkSight(t *store.Tx) error {
	s, err := loadSight(t)
	if err != nil {
		return err
	}
	_, err = s.seen()
	return err
}

// takenFor returns the LUNs that any initiator of host, or one of more, sees, and those at
// which the host itself has an export.
func (s *sight) takenFor(host string, more ...string) map[uint16]bool {
	seen, _ := s.seen() // what is double already is at least taken
	taken := map[uint16]bool{}
	for _, i := range append(s.initiators(host), more...) {
		for lun := range seen[i] {
			taken[lun] = true
		}
	}
	for _, l := range s.vluns {
		if l.Host == host {
			taken[l.LUN] = true
		}
	}
	return taken
}

// with returns the sight after d was taken up in the place of what is known of its
// group. A host or set of this array's own, that sees what only this array has, must be
// the same in d.
func (s *sight) with(d Description, self string, shared func(array.VolumeID) bool) (*sight, error) {
	n := &sight{on: " on array " + self, hosts: maps.Clone(s.hosts), sets: maps.Clone(s.sets), vvs: maps.Clone(s.vvs)}
	own := map[string]bool{} // hosts and sets that see this array's own volumes
	for _, l := range s.vluns {
		if s.vvs[l.Volume].Group != d.Group.ID {
			n.vluns = append(n.vluns, l)
		}
		if !shared(l.Volume) {
			own[l.Host] = true
			if set, ok := strings.CutPrefix(l.Host, "set:"); ok {
				for _, h := range s.sets[set].Hosts {
					own[h] = true
				}
			}
		}
	}
	n.vluns = append(n.vluns, d.VLUNs...)
	for _, v := range d.VVs {
		n.vvs[v.ID] = v
	}
	for _, h := range d.Hosts {
		if o, ok := s.hosts[h.Name]; ok && own[h.Name] && !reflect.DeepEqual(o, h) {
			return nil, array.Errorf(array.Conflict, "host %s is another one on array %s, where it sees volumes of its own: give one of them another name", h.Name, self)
		}
		n.hosts[h.Name] = h
	}
	for _, x := range d.Sets {
		if o, ok := s.sets[x.Name]; ok && own["set:"+x.Name] && !reflect.DeepEqual(o, x) {
			return nil, array.Errorf(array.Conflict, "host set %s is another one on array %s, where it sees volumes of its own: give one of them another name", x.Name, self)
		}
		n.sets[x.Name] = x
	}
	return n, n.checkInitiators(self)
}

// checkInitiators: an initiator belongs to one host.
func (s *sight) checkInitiators(self string) error {
	of := map[string]string{}
	for _, h := range s.hosts {
		for _, i := range h.Initiators {
			if o, ok := of[i]; ok && o != h.Name {
				return array.Errorf(array.Conflict, "initiator %s belongs to host %s and to host %s on array %s: an initiator belongs to one host", i, min(o, h.Name), max(o, h.Name), self)
			}
			of[i] = h.Name
		}
	}
	return nil
}
