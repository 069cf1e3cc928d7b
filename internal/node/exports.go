// SPDX-License-Identifier: Apache-2.0

package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/iscsi"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
)

// exports answers the front end: who may log in, and what he sees. It keeps a table that
// is made anew where hosts changed, and renewed where a group did.
type exports struct {
	n *Node
	// making is held while the table is made, so that the newest one is published last. It
	// guards what the table was made of.
	making sync.Mutex
	near   map[array.GroupID]nearOf // as the groups know it
	hosts  map[string]Host
	sets   map[string]HostSet
	of     map[array.GroupID]exported
	mu     sync.RWMutex
	// seen is by initiator name.
	seen     map[string]map[uint16]scsi.Unit
	accounts map[string]iscsi.Account
	traits   map[string]scsi.Traits
	watchers map[int]func(string)
	next     int
}

var (
	_ scsi.Exports = (*exports)(nil)
	_ iscsi.Auth   = (*exports)(nil)
)

func (e *exports) Unit(initiator string, lun uint16) (scsi.Unit, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	u, ok := e.seen[initiator][lun]
	return u, ok
}

func (e *exports) LUNs(initiator string) []uint16 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var l []uint16
	for n := range e.seen[initiator] {
		l = append(l, n)
	}
	slices.Sort(l)
	return l
}

func (e *exports) WatchExports(f func(string)) func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[int]func(string){}
	}
	id := e.next
	e.next++
	e.watchers[id] = f
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, id)
	}
}

// Traits implements scsi.Exports.
func (e *exports) Traits(initiator string) scsi.Traits {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.traits[initiator]
}

// Account admits the initiators of defined hosts.
func (e *exports) Account(initiator string, _ bool) (iscsi.Account, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	a, ok := e.accounts[initiator]
	return a, ok
}

// rebuild makes the table anew from the store and the open groups.
func (e *exports) rebuild() error {
	e.making.Lock()
	defer e.making.Unlock()
	return e.make()
}

// make does so. e.making is held.
func (e *exports) make() error {
	var s *sight
	if err := e.n.store.View(func(t *store.Tx) (err error) { s, err = loadSight(t); return err }); err != nil {
		return err
	}
	units := map[array.VolumeID]*group.Unit{}
	stay := map[array.VolumeID]bool{}
	for _, v := range s.vvs {
		stay[v.stays()] = true
	}
	e.n.mu.RLock()
	for _, r := range e.n.groups {
		if r.rec.hiddenOn(r.g) {
			continue
		}
		for id, u := range r.units {
			if shows(s.vvs[id], r.rec, u, stay[id]) {
				units[id] = u
			}
		}
	}
	e.n.mu.RUnlock()
	e.tellProximities(s)
	e.hosts, e.sets, e.of = s.hosts, s.sets, map[array.GroupID]exported{}
	for _, l := range s.vluns {
		id := s.vvs[l.Volume].Group
		x := e.of[id]
		x.vluns = append(x.vluns, l)
		e.of[id] = x
	}
	for _, v := range s.vvs {
		if len(v.Sets) > 0 {
			x := e.of[v.Group]
			x.inSets = true
			e.of[v.Group] = x
		}
	}
	seen, accounts, traits := map[string]map[uint16]scsi.Unit{}, map[string]iscsi.Account{}, map[string]scsi.Traits{}
	for _, h := range s.hosts {
		for _, i := range h.Initiators {
			traits[i] = personaOf(h.Persona).traits()
			accounts[i] = iscsi.Account{CHAP: h.CHAPSecret != "", User: h.CHAPUser, Secret: h.CHAPSecret}
		}
	}
	sees, err := s.seen()
	if err != nil {
		e.n.alarm(err.Error())
	}
	for i, luns := range sees {
		seen[i] = map[uint16]scsi.Unit{}
		for lun, l := range luns {
			if u := units[l.Volume]; u != nil {
				seen[i][lun] = u
			}
		}
	}
	e.mu.Lock()
	changed := changedViews(e.seen, seen)
	e.seen, e.accounts, e.traits = seen, accounts, traits
	tell := e.watched()
	e.mu.Unlock()
	if err := e.n.limitVolumes(); err != nil {
		return err
	}
	for _, i := range changed {
		tell(i)
	}
	return nil
}

// watched returns what tells all who want to know of an initiator. e.mu is held.
func (e *exports) watched() (tell func(initiator string)) {
	fs := slices.Collect(maps.Values(e.watchers))
	return func(i string) {
		for _, f := range fs {
			f(i)
		}
	}
}

// changedViews returns the initiators that see something else than before: a host that
// is told of a change looks at all of its units again.
func changedViews(was, is map[string]map[uint16]scsi.Unit) (changed []string) {
	for i, units := range is {
		if !maps.Equal(units, was[i]) {
			changed = append(changed, i)
		}
	}
	for i, units := range was {
		if _, there := is[i]; !there && len(units) > 0 {
			changed = append(changed, i)
		}
	}
	return changed
}
