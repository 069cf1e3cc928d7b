// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// lookAt is how many pages one transaction looks at.
const lookAt = 1 << 16

// ChangedSince calls fn for the pages from page from on that were born after place
// p, in order, until it returns false; and, so that the caller sees it go on, with birth
// 0 for one page now and then that was not. What isn't on pages yet is put there first.
func (v *Volume) ChangedSince(p array.Place, from int64, fn func(page int64, birth array.Place) bool) error {
	s := v.Spec()
	if err := v.p.Flush(s.Group); err != nil {
		return fmt.Errorf("changed pages of volume %s: %w", s.ID, err)
	}
	type found struct {
		page  int64
		birth array.Place
	}
	for more := true; more; { // in steps, so that no long transaction pins the map
		var step []found
		more = false
		looked := 0
		err := v.p.db.View(func(tx *bolt.Tx) error {
			return eachEntry(tx, pageBucket, s.ID, from, 1<<62, func(page int64, e entry) bool {
				if e.birth > p {
					step = append(step, found{page, e.birth})
				}
				from = page + 1
				looked++
				more = len(step) == 4096 || looked == lookAt
				return !more
			})
		})
		if err == nil && looked == lookAt && len(step) == 0 {
			step = append(step, found{page: from - 1})
		}
		if err != nil {
			return fmt.Errorf("changed pages of volume %s: %w", s.ID, err)
		}
		for _, f := range step {
			if !fn(f.page, f.birth) {
				return nil
			}
		}
	}
	return nil
}

// ReadPage fills dst, of block.Page bytes, with page n as of all that was applied,
// and returns its birth. A short last page is padded with zeros.
func (v *Volume) ReadPage(n int64, dst []byte) (array.Place, error) {
	off := n * block.Page
	size := v.Spec().Size
	if n < 0 || off >= size || len(dst) != block.Page {
		return 0, fmt.Errorf("read page %d of volume %s: %w", n, v.id, array.Errorf(array.Range, "no such page"))
	}
	valid := min(block.Page, size-off)
	clear(dst[valid:])
	birth, err := v.read(dst[:valid], off, hostView, v.p.readPart)
	if err != nil {
		return 0, fmt.Errorf("read page %d of volume %s: %w", n, v.id, err)
	}
	return birth, nil
}

// Checksum returns the CRC32C of the content of n pages from page from on, or of
// as many as there are.
func (v *Volume) Checksum(from, n int64) (uint32, error) {
	buf := make([]byte, block.Page)
	crc := uint32(0)
	for page := from; page < from+n && page*block.Page < v.Spec().Size; page++ {
		if _, err := v.ReadPage(page, buf); err != nil {
			return 0, err
		}
		crc = block.ChecksumUpdate(crc, buf)
	}
	return crc, nil
}
