// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/array"
)

// Far is what a group has to do with one of another pair, or of an array without one: that
// has a copy of this group, or this group is a copy of that.
type Far struct {
	// Systems are the arrays that may serve the other group, Remote is its name, ID its id; a
	// source knows both from the first point on.
	Systems []array.SystemID `json:"systems"`
	Remote  string           `json:"remote,omitempty"`
	ID      array.GroupID    `json:"id,omitempty"`
	// Origin: this is the group that was the source at first.
	Origin bool `json:"origin,omitempty"`
	// Copy: this group follows the other one; its volumes are shown to nobody, and are of no
	// moment between two points.
	Copy bool `json:"copy,omitempty"`
	// Period is in seconds.
	Period int64 `json:"period"`
	// Stopped: a person stopped it. Parted: the copy went on by itself.
	Stopped bool `json:"stopped,omitempty"`
	Parted  bool `json:"parted,omitempty"`
	// Handing: a person hands the group over, which is to be finished.
	Handing bool `json:"handing,omitempty"`
	// CPG is that of new volumes there, Names what the other group's volumes are called that
	// don't have their name here.
	CPG   string                    `json:"cpg,omitempty"`
	Names map[array.VolumeID]string `json:"names,omitempty"`
	// Of are the other group's volumes by this one's.
	Of map[array.VolumeID]array.VolumeID `json:"of,omitempty"`
	// Done is the point at which the copy is known to stand, Pending the one that is sent.
	Done    *FarPoint `json:"done,omitempty"`
	Pending *FarPoint `json:"pending,omitempty"`
}

// FarPoint is a moment of which there are snapshots of all volumes.
type FarPoint struct {
	Tag uint64    `json:"tag"`
	At  time.Time `json:"at"`
}

func (p *FarPoint) tag() uint64 {
	if p == nil {
		return 0
	}
	return p.Tag
}

func (p *FarPoint) when() time.Time {
	if p == nil {
		return time.Time{}
	}
	return p.At
}

// maxGroupFars bounds the far copies of a group.
const maxGroupFars = 2

// farWith is the index of what a group has to do with an array, -1 for nothing.
func (g *RCGroup) farWith(id array.SystemID) int {
	return slices.IndexFunc(g.Far, func(f Far) bool { return slices.Contains(f.Systems, id) })
}

// describeFar describes a group, with what it has to do with an array. An index would not last:
// others of its relations come and go.
func (n *Node) describeFar(id array.GroupID, with array.SystemID) (Description, Far, error) {
	d, err := n.describe(id)
	if err != nil {
		return d, Far{}, err
	}
	k := d.Group.farWith(with)
	if k < 0 {
		return d, Far{}, array.Errorf(array.Conflict, "group %s has nothing to do with system %d any more", d.Group.Name, with)
	}
	return d, d.Group.Far[k], nil
}

// follows is the index of what a group is a copy of, -1 if hosts may have it.
func (g *RCGroup) follows() int { return slices.IndexFunc(g.Far, func(f Far) bool { return f.Copy }) }

// withFar returns g with one of its relations changed.
func (g RCGroup) withFar(k int, f func(*Far)) RCGroup {
	g.Far = slices.Clone(g.Far)
	f(&g.Far[k])
	return g
}

func (f Far) period() time.Duration { return time.Duration(f.Period) * time.Second }

// nameOf is what a copy of a volume is called.
func (f Far) nameOf(v VV) string {
	if name := f.Names[v.ID]; name != "" {
		return name
	}
	return v.Name
}

// farName is what people here call the array that has the other group.
func (n *Node) farName(f Far) string {
	if t := n.farOf(f.Systems); t != nil {
		return t.Name
	}
	return fmt.Sprintf("system %d", f.Systems[0])
}

func systemList(ids []array.SystemID) string {
	var all []string
	for _, id := range ids {
		all = append(all, fmt.Sprint(uint32(id)))
	}
	return strings.Join(all, " or ")
}

// systems are the arrays that may serve this one's groups.
func (n *Node) systems() []array.SystemID {
	all := []array.SystemID{n.cfg.SystemID}
	if n.paired() {
		all = append(all, n.to().SystemID)
	}
	return all
}

// findFar returns a group's record, and the index of its relation to a target by the target's name.
func (n *Node) findFar(r *running, target string) (RCGroup, int, error) {
	t := n.farNamed(target)
	if t == nil {
		return RCGroup{}, 0, array.Errorf(array.NotFound, "target %.40s does not exist: want one that 'showrcopy targets' lists", target).Because(array.NoTarget)
	}
	rec := n.recordOf(r)
	k := rec.farWith(t.SystemID)
	if k < 0 {
		return rec, 0, array.Errorf(array.NotFound, "target %s is not in group %s: 'admitrcopytarget' adds it", target, rec.Name).Because(array.NoTarget)
	}
	return rec, k, nil
}

// recordOf is a group's record as it is now.
func (n *Node) recordOf(r *running) RCGroup {
	if now := n.running(r.rec.ID); now != nil {
		return now.rec
	}
	return r.rec
}

// marked reports whether a volume is being made what it is at a point, or has none yet, and not
// by a promotion of somebody's snapshot.
func (d Description) marked(v VV) bool {
	if v.Taking == 0 || v.Taking == v.ID {
		return v.Taking != 0
	}
	return slices.ContainsFunc(d.VVs, func(s VV) bool { return s.ID == v.Taking && s.Point != 0 })
}

// ownOf is what another array says of the group's volumes, without what it says of others.
func (d Description) ownOf(of map[array.VolumeID]array.VolumeID) map[array.VolumeID]array.VolumeID {
	own := map[array.VolumeID]array.VolumeID{}
	for _, v := range d.volumes() {
		if id, ok := of[v.ID]; ok {
			own[v.ID] = id
		}
	}
	return own
}

// isPoint refuses a snapshot that belongs to a far copy: it comes and goes by itself.
func (v VV) isPoint() error {
	if v.Point == 0 {
		return nil
	}
	return array.Errorf(array.Conflict, "%s is a point of a periodic copy: it is made and removed by itself", v.Name).Because(array.IsSnapshot)
}
