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

// exports answers the front end: who may log in, and what he sees. It keeps a
// table made anew at each change.
type exports struct {
	n *Node
	// making is held while the table is made, so that the newest one is published last.
	making sync.Mutex
	near   map[*group.Group]map[string]group.Proximity // as the groups know it
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
	var s *sight
	if err := e.n.store.View(func(t *store.Tx) (err error) { s, err = loadSight(t); return err }); err != nil {
		return err
	}
	units := map[array.VolumeID]*group.Unit{}
	e.n.mu.RLock()
	for _, r := range e.n.groups {
		if r.rec.hiddenOn(r.g) {
			continue
		}
		for id, u := range r.units {
			units[id] = u
		}
	}
	e.n.mu.RUnlock()
	e.tellProximities(s)
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
	fs := make([]func(string), 0, len(e.watchers))
	for _, f := range e.watchers {
		fs = append(fs, f)
	}
	e.mu.Unlock()
	if err := e.n.limitVolumes(); err != nil {
		return err
	}
	for _, f := range fs {
		for _, i := range changed {
			f(i)
		}
	}
	return nil
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
