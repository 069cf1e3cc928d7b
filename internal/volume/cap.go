// SPDX-License-Identifier: Apache-2.0

package volume

import "github.com/perdure/perdure/internal/block"

// A person may let hosts take less than there is. Such a limit is looked at before a
// write gets its place, and before space is set aside, and never after: what was
// acknowledged goes to pages although a limit was set below it meanwhile, and so does what
// the other array admitted.

// SetCap bounds what hosts may take of the pool; 0 is all of it.
func (p *Pool) SetCap(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cap = bytes / unitSize
}

// SetCap bounds what hosts may take by the volume itself, without its snapshots; 0 is no
// bound.
func (v *Volume) SetCap(bytes int64) {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	v.cap = bytes / unitSize
}

// Reached returns how much of a limit is taken when large writes are refused for it: the
// last of it is kept for what is on its way.
func Reached(limit int64) int64 {
	return limit - underWay(limit/unitSize)*unitSize - block.MaxIO
}

// ceiling is what hosts may take. p.mu is held.
func (p *Pool) ceiling() int64 {
	if p.cap > 0 {
		return min(p.cap, p.units.limit)
	}
	return p.units.limit
}

// free returns the units that may be set aside. p.mu is held.
func (p *Pool) free() int64 {
	return min(p.units.limit-p.spare(), p.ceiling()) - p.units.used - p.aside
}

// room is what one limit leaves, in units, and what may be taken of it by what is applied
// and not on pages.
type room struct{ free, pending int64 }

// capped returns what the limits that a person set leave to the volume. p.mu is held.
func (v *Volume) capped() (l []room) {
	p := v.p
	if p.cap > 0 {
		l = append(l, room{p.cap - underWay(p.cap) - p.units.used - p.aside + p.reservedFor(v.id), p.pending})
	}
	if v.cap > 0 {
		l = append(l, room{v.cap - underWay(v.cap) - p.use[v.id].units, v.pending})
	}
	return l
}

// inAll reports whether something holds in all rooms.
func inAll(l []room, holds func(room) bool) bool {
	for _, r := range l {
		if !holds(r) {
			return false
		}
	}
	return true
}
