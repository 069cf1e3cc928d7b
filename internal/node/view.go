// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"slices"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/event"
	"github.com/perdure/perdure/internal/store"
)

// View is the array as a caller sees it: the facts of what is in the caller's domains. Faces
// that show facts to people have no other way to them.
type View struct {
	n  *Node
	by Caller
	// only are domains; none: all that the caller sees.
	only []string
}

// As returns the array as a caller sees it.
func (n *Node) As(by Caller) *View { return &View{n: n, by: by} }

// view is that of a command, whose option -domain may narrow it.
func (a *args) view() *View {
	return &View{n: a.n, by: a.by, only: a.domains}
}

func (v *View) scope() (scope, error) {
	s, err := v.n.scopeOf(v.by)
	s.only = v.only
	return s, err
}

// seen are the facts that a caller sees, by the domain of each.
func seen[F any](v *View, all []F, err error, domain func(F) string) ([]F, error) {
	s := scope{by: v.by, only: v.only}
	if err != nil || s.all() {
		return all, err
	}
	return slices.DeleteFunc(all, func(f F) bool { return !s.sees(domain(f)) }), nil
}

// has reports whether an object is there, and seen.
func (v *View) has(kind, name string) (is bool) {
	err := v.n.store.View(func(t *store.Tx) error {
		key, err := v.n.keyOf(t, mention{kind: kind, name: name})
		if err != nil || key == "" {
			return err
		}
		d, err := domainIn(t, key)
		is = v.by.sees(d)
		return err
	})
	return is && err == nil
}

// Volumes are Node's, as all below, of what is seen.
func (v *View) Volumes() ([]VolumeFact, error) {
	all, err := v.n.Volumes()
	return seen(v, all, err, func(f VolumeFact) string { return f.Domain })
}

// Volume returns one of them.
func (v *View) Volume(name string) (VolumeFact, error) {
	f, err := v.n.Volume(name)
	if err == nil && !v.by.sees(f.Domain) {
		return VolumeFact{}, mention{kind: vvKind, name: name}.missing()
	}
	return f, err
}

// VLUNs returns the exports.
func (v *View) VLUNs() ([]VLUNFact, error) {
	all, err := v.n.VLUNs()
	return seen(v, all, err, func(f VLUNFact) string { return f.Domain })
}

// VLUNsOf returns those of a volume.
func (v *View) VLUNsOf(volume string) ([]VLUNFact, error) {
	all, err := v.n.VLUNsOf(volume)
	return seen(v, all, err, func(f VLUNFact) string { return f.Domain })
}

// Hosts returns the hosts.
func (v *View) Hosts() ([]HostFact, error) {
	all, err := v.n.Hosts()
	return seen(v, all, err, func(f HostFact) string { return f.Domain })
}

// HostSets returns the sets of hosts.
func (v *View) HostSets() ([]SetFact, error) {
	all, err := v.n.HostSets()
	return seen(v, all, err, func(f SetFact) string { return f.Domain })
}

// VolumeSets returns the sets of volumes.
func (v *View) VolumeSets() ([]SetFact, error) {
	all, err := v.n.VolumeSets()
	return seen(v, all, err, func(f SetFact) string { return f.Domain })
}

// CPGs returns the CPGs.
func (v *View) CPGs() ([]CPGFact, error) {
	all, err := v.n.CPGs()
	return seen(v, all, err, func(f CPGFact) string { return f.Domain })
}

// HasCPG reports whether there is one of that name.
func (v *View) HasCPG(name string) bool {
	s, err := v.scope()
	return err == nil && v.n.HasCPG(name) && s.object(cpgKind, name)
}

// QoS returns the rules.
func (v *View) QoS() ([]QoSFact, error) {
	all, err := v.n.QoS()
	s, e := v.scope()
	return seen(v, all, orElse(err, e), func(f QoSFact) string { return s.in[keyOf(vvSetKind, f.Set)] })
}

// Groups returns the Remote Copy groups.
func (v *View) Groups() ([]GroupFact, error) {
	all, err := v.n.Groups()
	return seen(v, all, err, func(f GroupFact) string { return f.Domain })
}

// Group returns one of them.
func (v *View) Group(name string) (GroupFact, error) {
	f, err := v.n.Group(name)
	if err == nil && !v.by.sees(f.Domain) {
		return GroupFact{}, mention{kind: groupKind, name: name}.missing()
	}
	return f, err
}

// Explain returns what is known and was decided about a group.
func (v *View) Explain(name string) (Explanation, error) {
	if _, err := v.Group(name); err != nil {
		return Explanation{}, err
	}
	return v.n.Explain(name)
}

// Drills returns the drills of this array.
func (v *View) Drills() ([]DrillFact, error) {
	all, err := v.n.Drills()
	s, e := v.scope()
	return seen(v, all, orElse(err, e), func(f DrillFact) string { return s.in[keyOf(groupKind, f.Group)] })
}

// shared are the open groups that are seen.
func (v *View) shared() ([]running, error) {
	s, err := v.scope()
	return seen(v, v.n.shared(), err, func(r running) string { return s.in[keyOf(groupKind, r.rec.Name)] })
}

// schedules are those of what is seen.
func (v *View) schedules() ([]Schedule, error) {
	all, err := v.n.schedules()
	in, of := map[objectKey]string{}, map[string]objectKey{}
	e := v.n.store.View(func(t *store.Tx) (err error) {
		if in, err = domainsOf(t); err != nil {
			return err
		}
		for _, s := range all {
			if of[s.Name], err = keyOfGroup(t, s.Group); err != nil {
				return err
			}
		}
		return nil
	})
	return seen(v, all, orElse(err, e), func(s Schedule) string { return in[of[s.Name]] })
}

// sight is who sees what, of the volumes, hosts and sets that are seen.
func (v *View) sight() (*sight, error) {
	s, err := v.n.sightNow()
	if err != nil {
		return nil, err
	}
	c, err := v.scope()
	if err != nil || c.all() {
		return s, err
	}
	for name := range s.hosts {
		if !c.object(hostKind, name) {
			delete(s.hosts, name)
		}
	}
	for name := range s.sets {
		if !c.object(hostSetKind, name) {
			delete(s.sets, name)
		}
	}
	for id, x := range s.vvs {
		if !c.object(cpgKind, x.CPG) {
			delete(s.vvs, id)
		}
	}
	for id, g := range s.groups {
		if !c.object(groupKind, g.Name) {
			delete(s.groups, id)
		}
	}
	s.vluns = slices.DeleteFunc(s.vluns, func(l VLUN) bool { _, there := s.vvs[l.Volume]; return !there })
	return s, nil
}

// Tasks returns the tasks of what is seen, and the caller's own.
func (v *View) Tasks() []TaskFact {
	return slices.DeleteFunc(v.n.Tasks(), func(f TaskFact) bool { return !v.seesTask(f) })
}

func (v *View) seesTask(f TaskFact) bool {
	return v.by.everything() || f.User == v.by.User || f.Domain != "" && v.by.sees(f.Domain) || f.Domain == "" && v.by.Domain == "" && v.by.Role != ""
}

// Task returns one of them.
func (v *View) Task(id uint64) (TaskFact, error) {
	f, err := v.n.Task(id)
	if err == nil && !v.seesTask(f) {
		return TaskFact{}, noTask(id)
	}
	return f, err
}

// WaitTask returns a task when it has ended, or as it stands when ctx does.
func (v *View) WaitTask(ctx context.Context, id uint64) (TaskFact, error) {
	if _, err := v.Task(id); err != nil {
		return TaskFact{}, err
	}
	return v.n.WaitTask(ctx, id)
}

// Events returns the newest events of what is seen.
func (v *View) Events() []event.Event {
	return slices.DeleteFunc(v.n.Events(), func(e event.Event) bool { return !v.seesEvent(e) })
}

// EventsAfter returns the events with larger numbers.
func (v *View) EventsAfter(id uint64) []event.Numbered {
	return slices.DeleteFunc(v.n.EventsAfter(id), func(e event.Numbered) bool { return !v.seesEvent(e.Event) })
}

func (v *View) seesEvent(e event.Event) bool {
	return v.by.everything() || e.Domain != "" && v.by.sees(e.Domain)
}

// WatchEvents returns a channel that gets something when there are new events.
func (v *View) WatchEvents() (news <-chan struct{}, stop func()) { return v.n.WatchEvents() }

// Alerts returns the alerts of what is seen.
func (v *View) Alerts() []event.Alert {
	return slices.DeleteFunc(v.n.Alerts(), func(x event.Alert) bool { return !v.seesAlert(x) })
}

// Alert returns one of them.
func (v *View) Alert(id event.AlertID) (event.Alert, error) {
	x, err := v.n.Alert(id)
	if err == nil && !v.seesAlert(x) {
		return event.Alert{}, array.Errorf(array.NotFound, "alert %d does not exist: 'showalert -all' lists them", id).Because(array.NoAlert)
	}
	return x, err
}

func (v *View) seesAlert(x event.Alert) bool {
	return v.by.everything() || x.Domain != "" && v.by.sees(x.Domain)
}

// What follows is of the whole array, and shows nothing that is in a domain.

// Do carries a command out.
func (v *View) Do(ctx context.Context, q Asked) (string, error) { return v.n.Do(ctx, q) }

// StartTask begins a long command that nobody waits for.
func (v *View) StartTask(ctx context.Context, kind, name string, q Asked) (TaskFact, error) {
	return v.n.StartTask(ctx, kind, name, q)
}

// Everything reports whether the caller sees what is in any domain, and in none.
func (v *View) Everything() bool { return v.by.everything() }

// System returns what the array is.
func (v *View) System() SystemFact { return v.n.System() }

// Target returns the other array; false if there is none.
func (v *View) Target() (TargetFact, bool) { return v.n.Target() }

// FarTargets returns the targets outside the pair.
func (v *View) FarTargets() []TargetFact { return v.n.FarTargets() }

// Witness returns the quorum witness; false if none is configured.
func (v *View) Witness() (WitnessFact, bool) { return v.n.Witness() }

// Ports returns the portals and the addresses for links.
func (v *View) Ports() []PortFact { return v.n.Ports() }

// RemoteCopyStarted reports whether a person has not stopped Remote Copy on this array.
func (v *View) RemoteCopyStarted() bool { return v.n.RemoteCopyStarted() }
