// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Create adds a volume, durably. It reads as zeros.
func (p *Pool) Create(s VolumeSpec) (*Volume, error) {
	p.single.Lock()
	defer p.single.Unlock()
	if err := p.mayCreate(s); err != nil {
		return nil, fmt.Errorf("create volume %s: %w", s.ID, err)
	}
	if s.SetAside = 0; s.Provisioning == Full {
		s.SetAside = s.Size
	}
	err := p.edit(func(e *edit) error { return putJSON(e.tx, volumeBucket, uint64(s.ID), s) })
	if err != nil {
		return nil, fmt.Errorf("create volume %s: %w", s.ID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v := newVolume(p, s)
	if p.groups[s.Group] == nil {
		p.groups[s.Group] = &groupPlaces{}
	}
	v.hidden = p.groups[s.Group].state == resyncing
	p.volumes[s.ID] = v
	p.link(v)
	p.setAside(s)
	return v, nil
}

// mayCreate says what is wrong with a new volume.
func (p *Pool) mayCreate(s VolumeSpec) error {
	if s.Size <= 0 || s.Size%block.Sector != 0 || s.Size > MaxSize || s.Removing || s.Of != 0 {
		return array.Errorf(array.Invalid, "size %d is not a positive multiple of %d up to %d", s.Size, block.Sector, int64(MaxSize))
	}
	if how := s.Provisioning; how != "" && how != Thin && how != Full && how != Dedup {
		return array.Errorf(array.Invalid, "provisioning %q: want thin, full or dedup", s.Provisioning)
	}
	p.mu.Lock()
	exists := p.all[s.ID] != nil
	base := p.volumes[s.Base]
	p.mu.Unlock()
	switch {
	case exists:
		return array.Errorf(array.Exists, "volume %s exists", s.ID)
	case s.Base != 0 && (base == nil || base.snap == nil):
		return array.Errorf(array.NotFound, "no snapshot %s", s.Base)
	}
	return p.maySetAside(s.Provisioning, pagesOf(s.Size)*pageUnits)
}

// maySetAside refuses to set so many units aside that they aren't there, and makes the
// page file reach as far as they will.
func (p *Pool) maySetAside(how Provisioning, n int64) error {
	if how != Full {
		return nil
	}
	p.measure()
	p.mu.Lock()
	free := p.free()
	end := p.units.used + p.aside + n
	p.mu.Unlock()
	if err := refuseAside(n, free); err != nil {
		return err
	}
	return p.extend(end * unitSize)
}

// setAside notes what is set aside for a volume. p.mu is held.
func (p *Pool) setAside(s VolumeSpec) {
	if s.SetAside > 0 {
		p.full[s.ID] = pagesOf(s.SetAside) * pageUnits
		p.recount()
	}
}
