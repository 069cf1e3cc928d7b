// SPDX-License-Identifier: Apache-2.0

package node

import (
	"reflect"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
)

// exported is what the table of exports was made of for one group.
type exported struct {
	vluns  []VLUN
	inSets bool // of volumes, which limits may be for
}

// place is where an initiator sees something.
type place struct {
	initiator string
	lun       uint16
}

// renew makes the table right for a group that changed, was opened or closed. What other
// groups have is looked at only where hosts see it at the same LUNs.
func (e *exports) renew(id array.GroupID) error {
	e.making.Lock()
	defer e.making.Unlock()
	e.n.mu.RLock()
	var g *group.Group
	if r := e.n.groups[id]; r != nil {
		g = r.g
	}
	e.n.mu.RUnlock()
	was, now := e.of[id], exported{}
	var places map[place]array.VolumeID
	whole := false
	if err := e.n.store.View(func(t *store.Tx) error {
		s, err := loadHosts(t)
		if err != nil {
			return err
		}
		if whole = !reflect.DeepEqual(s.hosts, e.hosts) || !reflect.DeepEqual(s.sets, e.sets); whole {
			return nil
		}
		if now, err = exportedOf(t, id); err != nil {
			return err
		}
		rec, _, err := tables.groups.Get(t, store.Key(uint64(id)))
		if err != nil {
			return err
		}
		e.tellProximity(s, rec, id, g)
		places, err = e.places(t, s, was.vluns, now.vluns)
		return err
	}); err != nil {
		return err
	}
	if whole {
		return e.make()
	}
	if e.of[id] = now; len(now.vluns) == 0 && !now.inSets {
		delete(e.of, id)
	}
	units := map[array.VolumeID]*group.Unit{}
	for _, v := range places {
		if _, known := units[v]; !known {
			units[v] = e.n.shownUnit(v)
		}
	}
	e.mu.Lock()
	changed := map[string]bool{}
	for at, v := range places {
		u, o := units[v], e.seen[at.initiator][at.lun]
		switch {
		case u != nil && o != scsi.Unit(u):
			if e.seen[at.initiator] == nil {
				e.seen[at.initiator] = map[uint16]scsi.Unit{}
			}
			e.seen[at.initiator][at.lun] = u
		case u == nil && o != nil:
			delete(e.seen[at.initiator], at.lun)
		default:
			continue
		}
		changed[at.initiator] = true
	}
	tell := e.watched()
	e.mu.Unlock()
	if was.inSets || now.inSets {
		if err := e.n.limitVolumes(); err != nil {
			return err
		}
	}
	for i := range changed {
		tell(i)
	}
	return nil
}

// exportedOf is what there is of a group for the table.
func exportedOf(t *store.Tx, id array.GroupID) (x exported, err error) {
	return x, tables.vvs.With(t, byGroup, store.Key(uint64(id)), func(_ string, v VV) error {
		x.inSets = x.inSets || len(v.Sets) > 0
		return tables.vluns.With(t, byVolume, store.Key(uint64(v.ID)), func(_ string, l VLUN) error {
			x.vluns = append(x.vluns, l)
			return nil
		})
	})
}

// places returns which volume initiators see wherever these exports are or were; 0: none.
func (e *exports) places(t *store.Tx, s *sight, lists ...[]VLUN) (map[place]array.VolumeID, error) {
	at := map[place]array.VolumeID{}
	for _, list := range lists {
		for _, l := range list {
			for _, h := range s.hostsOf(l.Host) {
				all, err := s.at(h.Name, l.LUN, storedVLUN(t))
				if err != nil {
					return nil, err
				}
				var first array.VolumeID
				for i, o := range all {
					if i == 0 {
						first = o.Volume
					} else if o.Volume != first {
						e.n.alarm(s.double(h.Name, all[0], o, array.VolumeID.String).Error())
					}
				}
				for _, i := range h.Initiators {
					at[place{i, l.LUN}] = first
				}
			}
		}
	}
	return at, nil
}

// shownUnit returns the open unit of a volume, nil if it is not shown to hosts.
func (n *Node) shownUnit(id array.VolumeID) *group.Unit {
	v, err := n.vvOf(id)
	if err != nil {
		return nil
	}
	stays := false
	if v.Leaves {
		if _, stays, err = n.stayingOf(v); err != nil {
			return nil
		}
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	r := n.groups[v.Group]
	if r == nil || r.rec.hiddenOn(r.g) {
		return nil
	}
	if u := r.units[id]; u != nil && shows(v, r.rec, u, stays) {
		return u
	}
	return nil
}

// shows reports whether hosts may see a volume. One that took another one's place is not what
// it was in a state before that, to which a person may have forced a periodic group. One that
// leaves its group is seen only where it stays.
func shows(v VV, g RCGroup, u *group.Unit, stays bool) bool {
	return v.Joins == nil && (!v.Leaves || stays) && (v.Joined == 0 || g.Private || g.Period == 0 || u.Adopted())
}
