// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Grow takes up the entry that makes the volume larger. Like Apply it does not wait for
// the disk: the size is put there by the next destage, before the entry counts as
// destaged. A size that the volume has already, or is beyond, changes nothing.
func (v *Volume) Grow(size int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case size%block.Sector != 0 || size > MaxSize:
		return fmt.Errorf("grow volume %s: %w", v.id, array.Errorf(array.Invalid, "size %d is not a multiple of %d up to %d", size, block.Sector, int64(MaxSize)))
	case v.snap != nil:
		return fmt.Errorf("grow volume %s: %w", v.id, array.Errorf(array.Invalid, "it is a snapshot, which never changes"))
	case size <= v.spec.Size:
		return nil
	}
	v.spec.Size = size
	v.grown = true
	return nil
}

// MayGrow says what keeps a volume from a size.
func (v *Volume) MayGrow(size int64) error {
	s := v.Spec()
	if size <= s.Size || size%block.Sector != 0 || size > MaxSize {
		return array.Errorf(array.Invalid, "from %d to %d bytes: a volume can only grow, by whole sectors, to %d", s.Size, size, int64(MaxSize))
	}
	return v.p.MaySetAside(s.Provisioning, (pagesOf(size)-pagesOf(s.Size))*block.Page)
}

// keepSize makes a size that was grown to durable. p.single is held.
func (v *Volume) keepSize() error {
	v.mu.RLock()
	s, grown := v.spec, v.grown
	v.mu.RUnlock()
	if !grown {
		return nil
	}
	p := v.p
	var short error
	if s.Provisioning == Full {
		// The array that serves asked whether there is room. On the other one there may be
		// less: there the rest is thin.
		if short = p.maySetAside(Full, (pagesOf(s.Size)-pagesOf(s.SetAside))*pageUnits); short == nil {
			s.SetAside = s.Size
		}
	}
	if err := p.edit(func(e *edit) error { return putJSON(e.tx, volumeBucket, uint64(v.id), s) }); err != nil {
		return fmt.Errorf("grow volume %s: %w", v.id, err)
	}
	if short != nil && p.o.Alarm != nil {
		p.o.Alarm(fmt.Errorf("volume %s grew to %d MiB, of which %d are set aside: %w", v.id, s.Size>>20, s.SetAside>>20, short))
	}
	p.mu.Lock()
	p.setAside(s)
	p.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.spec.SetAside = s.SetAside
	v.grown = v.spec.Size != s.Size
	return nil
}
