// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// MaxSnapshots is how many snapshots a volume may have.
const MaxSnapshots = 500

// layer is what was applied up to some moment and is not on pages yet.
type layer struct {
	over overlay
	// snap is the snapshot that is made once the layer is on pages, nil for none.
	snap *VolumeSpec
}

// freezing returns how many snapshots are about to be made. v.mu is held.
func (v *Volume) freezing() (n int) {
	for _, l := range v.sealed {
		if l.snap != nil {
			n++
		}
	}
	return n
}

// Freeze takes up the entry, at a place of the group's log, that a snapshot of the
// volume is made: it will show what was applied before, and nothing that comes after.
// Like Apply it does not wait for the disk. An entry that is applied again after a
// restart does no harm, even if the snapshot was removed meanwhile. One entry may be of
// several volumes: Pool.Advance follows when all are frozen.
func (v *Volume) Freeze(at array.Place, id array.VolumeID) error {
	if err := v.freeze(at, id); err != nil {
		return fmt.Errorf("snapshot %s of volume %s: %w", id, v.id, err)
	}
	v.p.wake()
	return nil
}

func (v *Volume) freeze(at array.Place, id array.VolumeID) error {
	p := v.p
	p.mu.Lock()
	exists := p.all[id] != nil
	count := len(p.chains[v.id])
	p.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.spec.Frozen >= at:
		return nil
	case v.gone:
		return array.Errorf(array.NotFound, "it was removed")
	case v.snap != nil:
		return array.Errorf(array.Invalid, "it is a snapshot itself, which never changes")
	case v.hidden:
		return array.Errorf(array.Conflict, "it is being copied from the other array")
	case exists:
		return array.Errorf(array.Exists, "there is a volume %s", id)
	case count+v.freezing() >= MaxSnapshots:
		return array.Errorf(array.Full, "it has %d snapshots, the most there may be", count)
	}
	v.seal(&VolumeSpec{ID: id, Group: v.group, Size: v.spec.Size, Of: v.id, Place: at})
	return nil
}

// makeSnapshot makes the snapshot that the volume's oldest layer was sealed for, now
// that the layer is on pages. p.single is held.
func (v *Volume) makeSnapshot(s VolumeSpec) error {
	p := v.p
	head := v.Spec()
	head.Frozen = s.Place
	err := p.edit(func(e *edit) error {
		if err := putJSON(e.tx, volumeBucket, uint64(s.ID), s); err != nil {
			return err
		}
		return putJSON(e.tx, volumeBucket, uint64(v.id), head)
	})
	if err != nil {
		return fmt.Errorf("make snapshot %s of volume %s: %w", s.ID, v.id, err)
	}
	n := newVolume(p, s)
	p.mu.Lock()
	p.volumes[s.ID] = n
	p.link(n)
	p.mu.Unlock()
	v.mu.Lock()
	v.spec.Frozen = s.Place // and nothing else: it may have grown meanwhile
	v.mu.Unlock()
	p.made = append(p.made, s)
	return nil
}

// Branch makes a volume that begins as a snapshot is and can be written to, durably.
func (p *Pool) Branch(s VolumeSpec) (*Volume, error) {
	from := p.Volume(s.Base)
	if from == nil || s.Base == 0 {
		return nil, fmt.Errorf("make volume %s: %w", s.ID, array.Errorf(array.NotFound, "no snapshot %s", s.Base))
	}
	s.Size = max(s.Size, from.Spec().Size)
	return p.Create(s)
}

// fold takes a snapshot's entries out of the map, durably and some at a time: those
// that the next older snapshot reads through it move there. p.single is held.
func (p *Pool) fold(v *Volume) error {
	p.mu.Lock()
	var older *Volume
	for _, s := range p.chains[v.snap.of] {
		if s == v {
			break
		}
		older = s
	}
	p.mu.Unlock()
	err := p.sweep(pageBucket, v.id, func(e *edit, page int64) error {
		old, err := e.set(pageBucket, v.id, page, entry{})
		if err != nil || older == nil {
			return e.dropped(old, err)
		}
		e.structure = true
		has, err := e.own(pageBucket, older.id, page)
		if err != nil || has.kind != nothing {
			return e.dropped(old, err)
		}
		_, err = e.set(pageBucket, older.id, page, old)
		return err
	})
	if err != nil {
		return fmt.Errorf("fold in snapshot %s: %w", v.id, err)
	}
	return p.strike(v)
}

// pagesOf returns how many pages a size has.
func pagesOf(size int64) int64 { return (size + block.Page - 1) / block.Page }
