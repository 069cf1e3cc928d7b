// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Bad is a page whose content on disk can't be read or fails its checksums. It is in
// the chain of the error of who met it.
type Bad struct {
	Volume array.VolumeID
	Page   int64
	// Birth is that of the content that should be there.
	Birth array.Place
	Err   error
}

// Error names the page.
func (b *Bad) Error() string {
	return fmt.Sprintf("page %d of volume %s, born at %d: %v", b.Page, b.Volume, b.Birth, b.Err)
}

// Unwrap returns what the disk or the checksum said.
func (b *Bad) Unwrap() error { return b.Err }

// bad makes the error of a page that could not be read.
func (v *Volume) bad(page int64, e *entry, err error) error {
	return &array.Error{Kind: array.Medium, Text: fmt.Sprintf("unit %d", e.addr), Err: &Bad{Volume: v.id, Page: page, Birth: e.birth, Err: err}}
}

// Stored fills dst, of block.Page bytes, with page n as it is on disk, without what was
// applied since, and returns its birth; of a bad page, too.
//
// All records of the page up to its birth are in it, and none later, once the group is
// destaged up to there. Before, after a restart, it may be a page of which records are
// being applied again.
func (v *Volume) Stored(n int64, dst []byte) (array.Place, error) {
	if size := v.Spec().Size; n < 0 || n > (size-1)/block.Page || len(dst) != block.Page {
		return 0, fmt.Errorf("stored page %d of volume %s: %w", n, v.id, array.Errorf(array.Range, "no such page"))
	}
	for range maxTurns {
		shape := v.p.shape.Load()
		v.mu.RLock()
		turn, gone := v.turn, v.gone
		v.mu.RUnlock()
		if gone {
			return 0, fmt.Errorf("stored page %d of volume %s: %w", n, v.id, array.Errorf(array.NotFound, "it was removed"))
		}
		entries, err := v.lookup(n*block.Page, 1, hostView)
		if err != nil {
			return 0, fmt.Errorf("stored page %d of volume %s: %w", n, v.id, err)
		}
		e := &entries[0]
		if e.kind != stored {
			clear(dst)
		} else if err = v.p.readPart(dst, 0, e); err != nil {
			err = fmt.Errorf("stored page %d of volume %s: %w", n, v.id, v.bad(n, e, err))
		}
		v.mu.RLock()
		same := v.turn == turn && v.p.shape.Load() == shape
		v.mu.RUnlock()
		if same {
			return e.birth, err
		}
	}
	return 0, fmt.Errorf("stored page %d of volume %s: %w", n, v.id, array.Errorf(array.Busy, "its pages moved %d times", maxTurns))
}

// Repair gives a bad page its content back. data is the page with all of its records up
// to birth, and none later, from another copy. It returns false if there is nothing to
// repair: the page is good, or gone.
//
// The content goes to fresh units, and only where it belongs. A page with exactly that
// birth gets it, for all volumes and snapshots that read it through the one whose it is.
// So does one with an earlier birth, if no snapshot shows it and all up to the later one
// was applied: its records between the two are in the overlay, which is on top of either
// content. A page with a later birth, by a destage that came between, keeps what it has.
func (v *Volume) Repair(n int64, birth array.Place, data []byte) (bool, error) {
	if size := v.Spec().Size; n < 0 || n > (size-1)/block.Page || len(data) != block.Page || birth == 0 {
		return false, fmt.Errorf("repair page %d of volume %s: %w", n, v.id, array.Errorf(array.Invalid, "%d bytes born at %d are no page of it", len(data), birth))
	}
	p := v.p
	p.single.Lock()
	defer p.single.Unlock()
	done, err := v.repairLocked(n, birth, data)
	if err != nil {
		return false, fmt.Errorf("repair page %d of volume %s: %w", n, v.id, err)
	}
	return done, nil
}

func (v *Volume) repairLocked(n int64, birth array.Place, data []byte) (bool, error) {
	p := v.p
	if p.Volume(v.id) != v {
		return false, array.Errorf(array.NotFound, "it was removed")
	}
	if p.state(v.group) != steady {
		return false, array.Errorf(array.Conflict, "its group is being resynced")
	}
	var e entry
	var whose array.VolumeID
	path := v.path()
	if err := p.db.View(func(tx *bolt.Tx) (err error) { whose, e, err = holder(tx, path, n); return err }); err != nil {
		return false, err
	}
	buf := p.staging[:block.Page]
	if e.kind != stored || p.readPart(buf, 0, &e) == nil {
		return false, nil
	}
	if err := v.mayRepair(whose, n, e.birth, birth); err != nil {
		return false, err
	}
	copy(buf, data)
	c := []change{{v: v, page: n, e: entry{birth: birth}, data: buf}}
	err := p.writeThen(pageBucket, c, func(ed *edit) error {
		ed.structure = true // others may read it through whose it is
		return ed.dropped(ed.set(pageBucket, whose, n, c[0].e))
	})
	if err != nil {
		return false, err
	}
	if c[0].e.kind == stored {
		if err := p.readPart(buf, 0, &c[0].e); err != nil {
			return false, v.bad(n, &c[0].e, err)
		}
	}
	return true, nil
}

// mayRepair says why content of a birth can't take the place of what a page had.
func (v *Volume) mayRepair(whose array.VolumeID, n int64, had, birth array.Place) error {
	p := v.p
	p.mu.Lock()
	applied := p.groups[v.group].applied
	p.mu.Unlock()
	switch {
	case had == birth:
		return nil
	case had > birth:
		return array.Errorf(array.Busy, "it was born at %d meanwhile, and the content at %d", had, birth)
	case applied < birth:
		return array.Errorf(array.Busy, "the content was born at %d, and only what was written up to %d is applied", birth, applied)
	case whose != v.id || v.snap != nil:
		return array.Errorf(array.Busy, "it was born at %d, others show it too, and the content was born at %d", had, birth)
	}
	v.mu.RLock()
	freezing := v.freezing()
	v.mu.RUnlock()
	if freezing > 0 {
		return array.Errorf(array.Busy, "it was born at %d, a snapshot that is being made shows it too, and the content was born at %d", had, birth)
	}
	s := v.newest()
	if s == nil {
		return nil
	}
	return p.db.View(func(tx *bolt.Tx) error {
		e, err := lookup(tx, pageBucket, s.id, n)
		if err == nil && e.kind == nothing {
			err = array.Errorf(array.Busy, "it was born at %d, snapshot %s shows it too, and the content was born at %d", had, s.id, birth)
		}
		return err
	})
}
