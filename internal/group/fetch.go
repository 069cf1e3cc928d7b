// SPDX-License-Identifier: Apache-2.0

package group

import (
	"errors"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// maxFetches bounds how many damaged pages one read heals: more than it can have.
const maxFetches = 2*block.MaxIO/block.Page + 2

// fetch reads the volume as of what is applied. It heals the damaged pages that it
// meets, which takes a moment, or reads them through the other array.
func (u *Unit) fetch(dst []byte, off int64) error {
	for tries := 0; len(dst) > 0; tries++ {
		u.readers <- struct{}{}
		err := u.disk.Read(dst, off)
		<-u.readers
		var bad *volume.Bad
		if !errors.As(err, &bad) || tries > maxFetches {
			return err
		}
		page, failed := u.g.Mend(bad.Volume, bad.Page)
		switch {
		case failed != nil:
			return errors.Join(failed, err)
		case page == nil:
			continue // it is as it was written
		}
		start := max(bad.Page*block.Page, off)
		end := min((bad.Page+1)*block.Page, off+int64(len(dst)))
		if err := u.fetch(dst[:start-off], off); err != nil {
			return err
		}
		copy(dst[start-off:end-off], page[start-bad.Page*block.Page:])
		dst, off = dst[end-off:], end
	}
	return nil
}

// fetchPage reads a page for a copy, with its birth, and heals it if it must. A page
// that is read through the other array has no birth, so it is an error.
func (u *Unit) fetchPage(n int64, dst []byte) (array.Place, error) {
	birth, err := u.disk.ReadPage(n, dst)
	if !errors.As(err, new(*volume.Bad)) {
		return birth, err
	}
	page, failed := u.g.Mend(u.id.Volume, n)
	if failed != nil || page != nil {
		return 0, errors.Join(failed, err)
	}
	return u.disk.ReadPage(n, dst)
}
