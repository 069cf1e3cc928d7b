// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/volume"
)

// What faces show comes from here, as data: each method reads the store and the running
// groups once, waits for no command, and returns copies.

// VolumeFact is a volume or snapshot.
type VolumeFact struct {
	VV
	// Group is empty for an un-mirrored volume, Domain for one in none.
	Group, Domain string
	// CopyOf is the name of the volume or snapshot that it is of, or was made from.
	CopyOf string
	WWN    array.WWN
	State  string
	Used   volume.Used
	// Serving: hosts get at it through this array now.
	Serving bool
}

// Kind of provisioning, in the incumbent's word.
func (v VolumeFact) Prov() string { return prov(v.VV) }

// Volumes returns all volumes and snapshots, by name.
func (n *Node) Volumes() (all []VolumeFact, err error) {
	names, groups := map[array.VolumeID]string{}, map[array.GroupID]RCGroup{}
	var in map[objectKey]string
	err = n.store.View(func(t *store.Tx) (err error) {
		if in, err = domainsOf(t); err != nil {
			return err
		}
		if err := tables.groups.Each(t, func(_ string, g RCGroup) error { groups[g.ID] = g; return nil }); err != nil {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error {
			names[v.ID] = v.Name
			all = append(all, VolumeFact{VV: v})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	serving := map[array.GroupID]bool{}
	for id := range groups {
		serving[id] = n.seenHere(id)
	}
	for i := range all {
		f := &all[i]
		if g := groups[f.VV.Group]; !g.Private {
			f.Group = g.Name
		}
		f.Domain = in[keyOf(cpgKind, f.CPG)]
		f.CopyOf = cmp.Or(names[f.Of], names[f.Base])
		f.WWN, f.Serving = f.VV.WWN(), serving[f.VV.Group]
		f.Used, f.State = n.usedBy(f.VV)
	}
	shareOut(all, n.taken())
	slices.SortFunc(all, func(a, b VolumeFact) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// seenHere reports whether hosts get at a group through this array.
func (n *Node) seenHere(id array.GroupID) bool {
	i, err := n.infoOf(id)
	return err == nil && (i.Serving || i.Sharing)
}

// Volume returns one of them.
func (n *Node) Volume(name string) (f VolumeFact, err error) {
	v, g, err := n.vvShown(name)
	if err != nil {
		return f, err
	}
	domain := ""
	if err := n.store.View(func(t *store.Tx) (err error) { domain, err = domainIn(t, keyOf(cpgKind, v.CPG)); return err }); err != nil {
		return f, err
	}
	f = VolumeFact{VV: v, WWN: v.WWN(), Serving: n.seenHere(g.ID), Domain: domain}
	if !g.Private {
		f.Group = g.Name
	}
	for _, of := range []array.VolumeID{v.Of, v.Base} {
		if of == 0 {
			continue
		}
		if o, err := n.vvOf(of); err == nil {
			f.CopyOf = o.Name
			break
		}
	}
	f.Used, f.State = n.usedBy(v)
	if v.Provisioning == volume.Dedup { // its part depends on all others
		all, err := n.Volumes()
		if err != nil {
			return f, err
		}
		for _, o := range all {
			if o.ID == v.ID {
				f.Used = o.Used
			}
		}
	}
	return f, nil
}

// VLUNFact is an export. Host is set:name for a host set.
type VLUNFact struct {
	LUN    uint16
	Volume string
	Host   string
	WWN    array.WWN
	Of     array.VolumeID
	Domain string // empty for none
	// Initiators are those that see it so.
	Initiators []string
}

// VLUNs returns the exports, by host and LUN.
func (n *Node) VLUNs() (all []VLUNFact, err error) {
	s, err := n.sightNow()
	if err != nil {
		return nil, err
	}
	return s.exported(), nil
}

// VLUNsOf returns those of a volume; none if there is no such volume.
func (n *Node) VLUNsOf(volume string) (all []VLUNFact, err error) {
	err = n.store.View(func(t *store.Tx) error {
		s, err := loadHosts(t)
		if err != nil {
			return err
		}
		v, ok, err := n.vvNamed(t, volume)
		if err != nil || !ok {
			return err
		}
		s.vvs[v.ID] = v
		if err := tables.vluns.With(t, byVolume, store.Key(uint64(v.ID)), func(_ string, l VLUN) error { s.vluns = append(s.vluns, l); return nil }); err != nil {
			return err
		}
		if err := s.placed(t); err != nil {
			return err
		}
		all = s.exported()
		return nil
	})
	return all, err
}

// exported returns the exports of the sight, by host and LUN.
func (s *sight) exported() (all []VLUNFact) {
	for _, l := range s.vluns {
		all = append(all, VLUNFact{
			LUN: l.LUN, Volume: s.vvs[l.Volume].Name, Host: l.Host, WWN: s.vvs[l.Volume].WWN(), Of: l.Volume,
			Initiators: s.initiators(l.Host), Domain: s.in[keyOf(cpgKind, s.vvs[l.Volume].CPG)],
		})
	}
	slices.SortFunc(all, func(a, b VLUNFact) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.LUN, b.LUN)) })
	return all
}

// CPGFact is a common provisioning group of this array.
type CPGFact struct {
	Name, Dir, Device string
	Domain            string // empty for none
	volume.Capacity
	// Warn and Stop are what a person set, in bytes; 0 for none.
	Warn, Stop int64
	// Level is how full it is: 75, 85 or 95 percent, or volume.IsFull; 0 if it is less.
	Level int
	// Volumes and Snapshots lie in it.
	Volumes, Snapshots int
	Scrub              ScrubFact
}

// State says in a word whether the CPG takes what hosts write.
func (f CPGFact) State() string {
	switch {
	case f.Level == volume.IsFull || f.Stop > 0 && f.Used+f.Reserved >= volume.Reached(f.Stop):
		return "full"
	case f.Level >= nearlyFull:
		return "nearly_full"
	}
	return "normal"
}

// Together adds up what CPGs have; what several could take of one file system is counted once.
func Together(all []CPGFact) volume.Capacity {
	capacities := make([]volume.Capacity, 0, len(all))
	for _, c := range all {
		capacities = append(capacities, c.Capacity)
	}
	return volume.Together(capacities...)
}

// ScrubFact is how far the looking for damage is.
type ScrubFact struct {
	// Running: a pass is under way since Began.
	Running      bool
	Began, Ended time.Time
	// Pages, Damaged and Repaired are those of the pass under way, the others of the last
	// whole one.
	Pages, Damaged, Repaired             int64
	LastPages, LastDamaged, LastRepaired int64
	// Rate is in bytes a second, 0 if nothing is looked at by itself.
	Rate int64
}

// HasCPG reports whether there is a CPG of a name.
func (n *Node) HasCPG(name string) bool { return n.cpgs[name] != nil }

// CPGs returns the CPGs, as configured.
func (n *Node) CPGs() (all []CPGFact, err error) {
	vols, snaps := map[string]int{}, map[string]int{}
	var in map[objectKey]string
	if err := n.store.View(func(t *store.Tx) (err error) {
		if in, err = domainsOf(t); err != nil {
			return err
		}
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if v.Of != 0 {
				snaps[v.CPG]++
			} else {
				vols[v.CPG]++
			}
			return nil
		})
	}); err != nil {
		return nil, err
	}
	for _, c := range n.cfg.CPGs {
		l, err := n.limitsOf(c.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, CPGFact{
			Name: c.Name, Dir: c.Dir, Device: c.Device, Domain: in[keyOf(cpgKind, c.Name)], Capacity: n.cpgs[c.Name].Capacity(), Warn: l.Warn, Stop: l.Limit, Level: n.cpgs[c.Name].Level(),
			Volumes: vols[c.Name], Snapshots: snaps[c.Name], Scrub: n.scrubs[c.Name].fact(n.cfg.Scrub.MiBPerSecond << 20),
		})
	}
	return all, nil
}

func (s *scrubber) fact(rate int64) ScrubFact {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	return ScrubFact{
		Running: st.At != (volume.Cursor{}), Began: st.Began, Ended: st.Ended, Rate: rate,
		Pages: st.Pass.Pages, Damaged: st.Pass.Damaged, Repaired: st.Pass.Repaired,
		LastPages: st.Last.Pages, LastDamaged: st.Last.Damaged, LastRepaired: st.Last.Repaired,
	}
}
