// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
)

// A change of some exports is looked at where it is: at the LUNs that it concerns, for the
// hosts that see them. What that takes does not grow with what other hosts see.

// doors are the names to which a volume may be exported for a host to see it: its own and
// those of its sets, in the order of the exports' keys.
func (s *sight) doors(host string) []string {
	all := []string{host}
	for _, x := range s.sets {
		if slices.Contains(x.Hosts, host) {
			all = append(all, "set:"+x.Name)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(vlunsOf(a), vlunsOf(b)) })
	return all
}

// vlunAt finds an export by its key.
type vlunAt func(key string) (VLUN, bool, error)

func storedVLUN(t *store.Tx) vlunAt {
	return func(key string) (VLUN, bool, error) { return tables.vluns.Get(t, key) }
}

// at returns the exports by which a host sees something at a LUN, in the order of their keys.
func (s *sight) at(host string, lun uint16, get vlunAt) (all []VLUN, err error) {
	for _, door := range s.doors(host) {
		l, ok, err := get(vlunKey(VLUN{LUN: lun, Host: door}))
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, l)
		}
	}
	return all, nil
}

// oneVolumeEach refuses exports beside which a host would see another volume at their LUN.
func (s *sight) oneVolumeEach(t *store.Tx, vluns []VLUN, get vlunAt) error {
	for _, l := range vluns {
		for _, h := range s.hostsOf(l.Host) {
			all, err := s.at(h.Name, l.LUN, get)
			if err != nil {
				return err
			}
			for _, o := range all {
				if first := all[0]; o.Volume != first.Volume && len(h.Initiators) > 0 {
					return s.double(h.Initiators[0], first, o, func(id array.VolumeID) string {
						if v, ok := s.vvs[id]; ok {
							return v.Name
						}
						v, _, _ := tables.vvs.Get(t, store.Key(uint64(id))) // it is but a name
						return v.Name
					})
				}
			}
		}
	}
	return nil
}

// double says that a LUN would be two volumes.
func (s *sight) double(initiator string, o, l VLUN, name func(array.VolumeID) string) error {
	return array.Errorf(array.Exists, "LUN %d is taken%s: initiator %s sees volume %s at it, exported to %s, and would see volume %s, exported to %s",
		l.LUN, s.on, initiator, name(o.Volume), o.Host, name(l.Volume), l.Host).Because(array.LUNTaken)
}

// checkVLUNs refuses a transaction in which these exports make two volumes of a LUN.
func checkVLUNs(t *store.Tx, vluns []VLUN) error {
	if len(vluns) == 0 {
		return nil
	}
	s, err := loadHosts(t)
	if err != nil {
		return err
	}
	return s.oneVolumeEach(t, vluns, storedVLUN(t))
}

// takenIn is takenFor of what is stored.
func (s *sight) takenIn(t *store.Tx, host string, more ...string) map[uint16]bool {
	doors := map[string]bool{host: true}
	for _, h := range s.hostsOf(host) {
		for _, d := range s.doors(h.Name) {
			doors[d] = true
		}
	}
	for _, h := range s.hosts {
		if slices.ContainsFunc(h.Initiators, func(i string) bool { return slices.Contains(more, i) }) {
			for _, d := range s.doors(h.Name) {
				doors[d] = true
			}
		}
	}
	taken := map[uint16]bool{}
	for d := range doors {
		for _, key := range tables.vluns.Keys(t, vlunsOf(d)) {
			taken[uint16(binary.BigEndian.Uint64([]byte(key[len(key)-8:])))] = true
		}
	}
	return taken
}

// sameHosts reports whether d says nothing new of any host or set.
func (s *sight) sameHosts(d Description) bool {
	for _, h := range d.Hosts {
		if o, ok := s.hosts[h.Name]; !ok || !reflect.DeepEqual(o, h) {
			return false
		}
	}
	for _, x := range d.Sets {
		if o, ok := s.sets[x.Name]; !ok || !reflect.DeepEqual(o, x) {
			return false
		}
	}
	return true
}

// after finds exports as they are once d is taken up, and returns which of them are new.
func (d Description) after(t *store.Tx) (get vlunAt, fresh []VLUN, err error) {
	theirs := map[array.VolumeID]bool{}
	if err := tables.vvs.With(t, byGroup, store.Key(uint64(d.Group.ID)), func(_ string, v VV) error { theirs[v.ID] = true; return nil }); err != nil {
		return nil, nil, err
	}
	now := map[string]VLUN{}
	for _, l := range d.VLUNs {
		now[vlunKey(l)] = l
		if o, ok, err := tables.vluns.Get(t, vlunKey(l)); err != nil || !ok || o != l {
			if err != nil {
				return nil, nil, err
			}
			fresh = append(fresh, l)
		}
	}
	return func(key string) (VLUN, bool, error) {
		if l, ok := now[key]; ok {
			return l, true, nil
		}
		l, ok, err := tables.vluns.Get(t, key)
		return l, ok && !theirs[l.Volume], err
	}, fresh, nil
}
