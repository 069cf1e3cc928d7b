// SPDX-License-Identifier: Apache-2.0

package volume

import "github.com/perdure/perdure/internal/block"

// ReadCached is Read for what can be had without waiting for a disk: what was applied and
// is in memory, zeros, and what was read lately. It reports false where it has to wait, or
// where the answer is not simple; dst may have been written to by then.
func (v *Volume) ReadCached(dst []byte, off int64) bool {
	if v.p.kept == nil || off < 0 {
		return false
	}
	v.mu.RLock() // pages can't move under it
	defer v.mu.RUnlock()
	if v.gone || v.hidden || off > v.spec.Size || int64(len(dst)) > v.spec.Size-off {
		return false
	}
	shape := v.p.shape.Load()
	if v.layered(hostView) || len(v.path()) != 1 {
		return false
	}
	for len(dst) > 0 {
		n := min(int64(len(dst)), block.Page-off%block.Page)
		if !v.pageCached(dst[:n], off) {
			return false
		}
		dst, off = dst[n:], off+n
	}
	return v.p.shape.Load() == shape
}

// pageCached is ReadCached within a page. v.mu is read-locked.
func (v *Volume) pageCached(dst []byte, off int64) bool {
	if some, all := v.layersCached(dst, off); some {
		return all
	}
	page := off / block.Page
	l, _ := v.p.cache.get(leafName{pageBucket, v.id, page / leafPages})
	if l == nil {
		return false
	}
	e := &l[page%leafPages]
	if e.kind != stored {
		clear(dst)
		return true
	}
	if e.packed {
		return false
	}
	for len(dst) > 0 {
		u, in := int(off%block.Page/unitSize), off%unitSize
		n := min(int64(len(dst)), unitSize-in)
		if at := e.part(u); at == noPart {
			clear(dst[:n])
		} else if !v.p.kept.get(at, e.crc[u], dst[:n], in) {
			return false
		}
		dst, off = dst[n:], off+n
	}
	return true
}

// layersCached copies a range that one extent in memory has whole. some says that the
// layers have anything of it.
func (v *Volume) layersCached(dst []byte, off int64) (some, all bool) {
	end := off + int64(len(dst))
	look := func(o *overlay) {
		o.each(off, end, func(e *extent) bool {
			some = true
			if all = e.start <= off && end <= e.end; !all {
				return false
			}
			if e.data == nil {
				clear(dst)
			} else {
				copy(dst, e.data[off-e.start:])
			}
			return false
		})
	}
	look(&v.over)
	for i := len(v.sealed) - 1; i >= 0 && !some; i-- {
		look(&v.sealed[i].over)
	}
	return some, all
}
