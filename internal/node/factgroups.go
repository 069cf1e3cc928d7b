// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/link"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// GroupFact is a Remote Copy group as this array sees it.
type GroupFact struct {
	RCGroup
	Domain string // empty for none
	// Role is this array's, in the incumbent's word; State and Sync are the group's.
	Role, State, Sync string
	// Serving is the name of the array that serves it, empty if none is known to.
	Serving string
	// HomeArray is the natural primary's name, Preferred that of the array that the group
	// prefers, if it names one.
	HomeArray, Preferred string
	// Reason is why it is not served here, empty if it is.
	Reason string
	// ServedHere, Owner: this array serves it; orders its writes. Shared: it serves what
	// the other array orders.
	ServedHere, Owner, Shared bool
	// Switching: it is being handed over now. Contact: the other array's half answers.
	Switching, Contact bool
	// Copy says how filling or copying stands, for people.
	Copy string
	// LastSync is the newest point of a periodic group that the copy has, zero for none;
	// Late, that its period is not kept, PointTrouble why the last one was not sent.
	LastSync     time.Time
	Late         bool
	PointTrouble string
	VVs          []VV
	VLUNs        []VLUN
	// Percents are those of the volumes that are being copied, where they are known.
	Percents map[array.VolumeID]int
	// Outside are the copies outside the pair, or what the group is a copy of.
	Outside []FarFact
}

// SyncOf is how a volume of the group stands, in the word for groups.
func (f GroupFact) SyncOf(v VV) string { return v.syncOf(f.Sync) }

// inGroupAs is the name that a volume has, or will have, in its group.
func (v VV) inGroupAs() string {
	if v.Joins != nil {
		return v.Joins.Name
	}
	return v.Name
}

// syncOf is how it stands if its group stands so.
func (v VV) syncOf(group string) string {
	if v.Joins != nil {
		return "Syncing"
	}
	return group
}

// percentOf is how much of a volume, or of its group, the other array has that is being
// copied there; -1 if none is, or it is not known.
func (n *Node) percentOf(v VV, i group.Info) int {
	r := n.copies.run(v.ID)
	switch {
	case v.syncOf(syncOf(i)) != "Syncing":
		return -1
	case v.Joins == nil:
		return i.Filled.Percent()
	case r == nil: // the other array copies it
		return -1
	}
	return progress.Amount{Done: r.done.Load(), Total: r.size.Load()}.Percent()
}

// Groups returns the groups that are open, by name.
func (n *Node) Groups() (all []GroupFact, err error) {
	for _, r := range n.shared() {
		f, err := n.groupFact(r)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// Group returns one of them.
func (n *Node) Group(name string) (GroupFact, error) {
	r, err := n.findGroup(name)
	if err != nil {
		return GroupFact{}, err
	}
	return n.groupFact(*r)
}

func (n *Node) groupFact(r running) (GroupFact, error) {
	i, err := infoNow(r)
	if err != nil {
		return GroupFact{}, err
	}
	d, err := n.describe(r.rec.ID)
	if err != nil {
		return GroupFact{}, err
	}
	f := GroupFact{
		RCGroup: d.Group, Role: n.roleOf(r.rec, i), State: stateOf(i), Sync: syncOf(i), HomeArray: n.homeName(r.rec), Reason: i.Reason,
		ServedHere: i.Serving, Shared: i.Sharing, Owner: i.Owner == i.Self, Switching: i.Switching, Contact: i.Contact, Copy: i.Copy, VVs: d.VVs, VLUNs: d.VLUNs,
	}
	f.Percents = map[array.VolumeID]int{}
	for k, v := range f.VVs {
		f.VVs[k].Name = v.inGroupAs()
		if p := n.percentOf(v, i); p >= 0 {
			f.Percents[v.ID] = p
		}
	}
	if f.Serving = n.servingName(i); d.Group.follows() >= 0 { // no host sees it
		f.Serving, f.ServedHere = "", false
	}
	if err := n.store.View(func(t *store.Tx) (err error) {
		f.Domain, err = domainIn(t, keyOf(groupKind, d.Group.Name))
		return err
	}); err != nil {
		return GroupFact{}, err
	}
	f.Outside = n.farFacts(d.Group)
	f.Role = farRole(d.Group, f.Role, f.Outside)
	f.LastSync, f.Late, f.PointTrouble = i.Period.At, i.Period.Late, i.Period.Trouble
	if id := d.Group.Policies.Prefer; id != 0 {
		f.Preferred = n.systemName(id)
	}
	return f, nil
}

// servingName is the array that serves a group, empty if nobody known here does.
func (n *Node) servingName(i group.Info) string {
	switch {
	case i.Serving:
		return n.cfg.Name
	case i.View.Role == arb.Out || i.View.Role == arb.Paired && i.Owner != i.Self:
		return n.arrayName(i.Self.Other())
	}
	return ""
}

// Explanation is why a group is served where it is.
type Explanation struct {
	Group group.Info
	// Array is the one that explains.
	Array string
	Owner string
	// Outside are its copies outside the pair, or what it is a copy of.
	Outside []FarFact
	// Serving: hosts may use it here.
	Serving bool
}

// Explain returns what this array knows and decided about a group.
func (n *Node) Explain(name string) (Explanation, error) {
	r, err := n.findGroup(name)
	if err != nil {
		return Explanation{}, err
	}
	i, err := r.g.Info()
	return Explanation{
		Group: i, Array: n.cfg.Name, Owner: n.arrayName(i.Owner), Outside: n.farFacts(r.rec),
		Serving: (i.Serving || i.Sharing) && r.rec.follows() < 0,
	}, err
}

// TargetFact is the other array.
type TargetFact struct {
	Name      string
	ID        array.SystemID
	Reachable bool
	Links     []LinkFact
}

// LinkFact is a way to it.
type LinkFact struct {
	Name, Listen, Remote string
	// Port is its number on this array.
	Port      int
	Up        bool
	RoundTrip time.Duration
	Err       string
}

// Target returns the other array; false if there is none.
func (n *Node) Target() (f TargetFact, ok bool) {
	r := n.rel.Load()
	if r.ties == nil {
		return f, false
	}
	f = TargetFact{Name: r.target.Name, ID: r.target.SystemID, Reachable: r.ties.pair.Reachable()}
	for _, l := range r.ties.pair.Peer().Status() {
		f.Links = append(f.Links, linkFact(r.target, l))
	}
	return f, true
}

func linkFact(t Target, l link.Status) LinkFact {
	c := t.link(l.Name)
	x := LinkFact{Name: l.Name, Port: c.port, Listen: c.Listen, Remote: c.Remote, Up: l.Up, RoundTrip: l.RTT}
	if l.Err != nil && !l.Up {
		x.Err = l.Err.Error()
	}
	return x
}

// WitnessFact is the quorum witness as this array sees it.
type WitnessFact struct {
	Address string
	// Started: it is to be used.
	Started   bool
	Reached   bool
	LastSeen  time.Time
	RoundTrip time.Duration
	Err       string
}

// Witness returns it; false if none is configured.
func (n *Node) Witness() (f WitnessFact, ok bool) {
	r := n.rel.Load()
	if r.ties == nil || r.witness.Address == "" {
		return f, false
	}
	w := r.ties.pair.WitnessStatus()
	return WitnessFact{Address: r.witness.Address, Started: !r.stopped, Reached: w.Reached, LastSeen: w.LastSeen, RoundTrip: w.RoundTrip, Err: w.Error}, true
}
