// SPDX-License-Identifier: Apache-2.0

package ramunit

import (
	"maps"
	"slices"
	"sync"

	"github.com/perdure/perdure/internal/scsi"
)

// Exports shows the same units to every initiator.
type Exports struct {
	mu       sync.Mutex
	units    map[uint16]scsi.Unit
	watchers map[int]func(string)
	lastID   int
	traits   scsi.Traits
}

var _ scsi.Exports = (*Exports)(nil)

// NewExports returns a table with units at LUN 0, 1, ...
func NewExports(units ...scsi.Unit) *Exports {
	e := &Exports{units: make(map[uint16]scsi.Unit), watchers: make(map[int]func(string))}
	for i, u := range units {
		e.units[uint16(i)] = u
	}
	return e
}

// Set puts u at lun, or with nil takes away what is there, and tells the hosts.
func (e *Exports) Set(lun uint16, u scsi.Unit) {
	e.mu.Lock()
	if u == nil {
		delete(e.units, lun)
	} else {
		e.units[lun] = u
	}
	fs := slices.Collect(maps.Values(e.watchers))
	e.mu.Unlock()
	for _, f := range fs {
		f("")
	}
}

// Unit implements scsi.Exports.
func (e *Exports) Unit(_ string, lun uint16) (scsi.Unit, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u, ok := e.units[lun]
	return u, ok
}

// LUNs implements scsi.Exports.
func (e *Exports) LUNs(string) []uint16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.units))
}

// Traits implements scsi.Exports.
func (e *Exports) Traits(string) scsi.Traits {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.traits
}

// SetTraits says how hosts want to be answered.
func (e *Exports) SetTraits(t scsi.Traits) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traits = t
}

// WatchExports implements scsi.Exports.
func (e *Exports) WatchExports(f func(string)) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lastID++
	id := e.lastID
	e.watchers[id] = f
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, id)
	}
}
