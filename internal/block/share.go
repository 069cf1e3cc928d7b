// SPDX-License-Identifier: Apache-2.0

package block

import "sync/atomic"

// A Share is what one user of a pool may have of it, so that no user takes what the
// others need. It consists of
//
//   - a guarantee, set aside in the pool for as long as the share is open: what others
//     do can't touch it. A quarter of the pool is for guarantees; shares beyond it have
//     none;
//   - and beyond that, of what the pool has free, at most twice as much as it leaves
//     free. So a user alone may have half the pool, and each of many as much as any
//     other when buffers have gone round.
//
// A buffer counts until its last reference goes, wherever that is.
type Share struct {
	pool      *Pool
	most      int64 // of both together
	guarantee atomic.Int64
	own       atomic.Int64 // bytes out of the guarantee
	more      atomic.Int64 // bytes out of what all have
	closed    atomic.Bool
}

const (
	// maxGuarantee and minGuarantee bound a share's guarantee; between them it is a
	// partsOfPool-th of the pool.
	maxGuarantee = 4 << 20
	minGuarantee = 256 << 10
	partsOfPool  = 256
	// setAside is which part of the pool all guarantees together may be.
	setAside = 4
)

// NewShare opens a share of at most so many bytes; 0: no bound but the fair one.
func (p *Pool) NewShare(most int64) *Share {
	if most <= 0 {
		most = p.limit
	}
	s := &Share{pool: p, most: most}
	n := min(max(p.limit/partsOfPool, minGuarantee), maxGuarantee)
	n = min(n-n%Align, most)
	if p.aside.Add(n) > p.limit/setAside || !p.claim(n) {
		p.aside.Add(-n)
		return s
	}
	p.spare.Add(n)
	s.guarantee.Store(n)
	return s
}

// Close gives the guarantee back. Buffers that are still out stay with the pool's
// account until they are released; Get must not be called any more.
func (s *Share) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.shed()
}

// shed gives back what of a closed share's guarantee nobody holds.
func (s *Share) shed() {
	n := s.guarantee.Load()
	if n == 0 || s.own.Load() != 0 || !s.guarantee.CompareAndSwap(n, 0) {
		return
	}
	s.pool.aside.Add(-n)
	s.pool.spare.Add(-n)
	s.pool.give(n)
}

// Used returns the bytes that the share holds.
func (s *Share) Used() int64 { return s.own.Load() + s.more.Load() }

// Get is Pool.Get within the share. It does not wait behind those who wait for the pool
// as long as its guarantee has room.
func (s *Share) Get(n int) (*Buffer, bool) {
	c := classOf(n)
	size := int64(sizeOf(c))
	if grow(&s.own, size, s.guarantee.Load()) {
		s.pool.spare.Add(-size)
		b := s.pool.take(c, n)
		b.share, b.owned = s, true
		return b, true
	}
	// What the guarantees of those to come may need is not to be had.
	coming := max(s.pool.limit/setAside-s.pool.aside.Load(), 0)
	left := s.pool.limit - s.pool.used.Load() - coming - size
	if s.pool.waiting.Load() > 0 || !grow(&s.more, size, min(2*left, s.most-s.guarantee.Load())) {
		return nil, false
	}
	if !s.pool.claim(size) {
		s.more.Add(-size)
		return nil, false
	}
	b := s.pool.take(c, n)
	b.share, b.owned = s, false
	return b, true
}

// returned counts a buffer as given back, and reports whether its memory is the pool's
// again, not the guarantee's.
func (s *Share) returned(size int64, owned bool) bool {
	if !owned {
		s.more.Add(-size)
		return true
	}
	s.pool.spare.Add(size)
	if s.own.Add(-size) == 0 && s.closed.Load() {
		s.shed()
	}
	return false
}

// grow adds n to v unless that is beyond limit.
func grow(v *atomic.Int64, n, limit int64) bool {
	for {
		old := v.Load()
		if old+n > limit {
			return false
		}
		if v.CompareAndSwap(old, old+n) {
			return true
		}
	}
}
