// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Provisioning says when a volume's space is set aside. Values are on disk.
type Provisioning string

const (
	// Thin takes space for what is written. It is what an empty value means.
	Thin Provisioning = "thin"
	// Full sets the whole size aside when the volume is made.
	Full Provisioning = "full"
	// Dedup is thin, and stores pages with the same content once.
	Dedup Provisioning = "dedup"
)

// fits refuses changes that would take what was set aside for others. Some units are
// kept for replacing pages: without them a full pool couldn't take the writes that free
// as much as they need.
func (p *Pool) fits(into bucket, changes []change, need int64) error {
	v := changes[0].v
	p.mu.Lock()
	limit, used, spare := p.units.limit, p.units.used, p.spare()
	others := p.aside - p.reservedFor(v.id)
	p.mu.Unlock()
	if used+others+need <= limit-spare {
		return nil
	}
	frees, err := p.replaced(into, changes)
	if err != nil {
		return err
	}
	if used+others+need-frees <= limit-spare && used+need <= limit {
		return nil
	}
	return array.Errorf(array.Full, "the CPG is full: %d MiB of %d are used and %d set aside", used*unitSize>>20, limit*unitSize>>20, others*unitSize>>20)
}

// spare is what is kept for replacing pages, of a pool that can spare it. p.mu is held.
func (p *Pool) spare() int64 { return min(int64(p.o.Batch)*pageUnits, p.units.limit/16) }

// replaced returns how many units the changes will free for certain.
func (p *Pool) replaced(into bucket, changes []change) (n int64, err error) {
	err = p.db.View(func(tx *bolt.Tx) error {
		for i := range changes {
			if c := &changes[i]; c.split() && c.blocks != everyBlock {
				n += int64(bits.OnesCount8(c.replaces()))
				continue
			}
			frees, err := changes[i].v.frees(tx, into, changes[i].page)
			if err != nil {
				return err
			}
			n += frees
		}
		return nil
	})
	return n, err
}

// frees returns how many units are free for certain once a page gets other content:
// none if its units are shared, or if the newest snapshot shows them.
func (v *Volume) frees(tx *bolt.Tx, into bucket, page int64) (int64, error) {
	e, err := lookup(tx, into, v.id, page)
	if err != nil || e.kind != stored || !e.split && tx.Bucket([]byte(sharedBucket)).Get(numberKey(uint64(e.addr))) != nil {
		return 0, err
	}
	if s := v.newest(); s != nil && into == pageBucket {
		if has, err := lookup(tx, pageBucket, s.id, page); err != nil || has.kind == nothing {
			return 0, err
		}
	}
	var buf [pageUnits]run
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	for _, r := range e.runs(&buf) {
		if v.p.units.isHeld(r) {
			return 0, nil // it is the journal's as well
		}
	}
	return int64(e.units()), nil
}

// underWay is what is kept of a limit for writes that were admitted and are not applied
// yet.
func underWay(limit int64) int64 { return min((32<<20)/unitSize, limit/32) }

// Answer says whether there is room for a write.
type Answer uint8

const (
	// Enough: there is room, or the write replaces what is there.
	Enough Answer = iota
	// Unsure: it depends on what is not on pages yet. OnRoom is called when it is worth
	// asking again.
	Unsure
	// None: there is no room.
	None
)

// Spacious reports whether there is room for n bytes to be written at off. What is
// applied and not on pages counts as if each record took pages of its own.
func (v *Volume) Spacious(off, n int64) (Answer, error) {
	p := v.p
	need := (pagesOf(off+n) - off/block.Page) * pageUnits
	p.mu.Lock()
	if v.cap == 0 && need+v.pending <= p.reservedFor(v.id) {
		p.mu.Unlock()
		return Enough, nil // it was set aside
	}
	limit := p.units.limit
	rooms := append(make([]room, 0, 3), room{limit - p.spare() - underWay(limit) - p.units.used - p.aside + p.reservedFor(v.id), p.pending, false})
	rooms = append(rooms, v.capped()...)
	p.mu.Unlock()
	if inAll(rooms, func(r room) bool { return need+r.pending <= r.free }) {
		return Enough, nil
	}
	frees, keeps, err := v.replaces(off, n)
	if err != nil {
		return None, err
	}
	fits, may := true, true
	for _, r := range rooms {
		more := need - frees
		if r.own { // what a snapshot takes over is no more the volume's
			more = need - keeps
		}
		now := more <= 0 || r.pending == 0 && more <= r.free || need+r.pending <= r.free
		fits = fits && now
		may = may && (now || r.pending > 0 || more <= r.free)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case fits:
		return Enough, nil
	case !may && p.held == 0: // else the journal may let go of some
		return None, nil
	}
	p.starved = true
	p.wake()
	return Unsure, nil
}

// waiting reports whether a page is not on pages yet, so that writing it again takes
// nothing more.
func (v *Volume) waiting(page int64) (is bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	look := func(l *overlay) {
		l.each(page*block.Page, (page+1)*block.Page, func(e *extent) bool {
			is = is || e.data != nil
			return !is
		})
	}
	look(&v.over)
	for i := len(v.sealed) - 1; i >= 0 && !is && v.sealed[i].snap == nil; i-- {
		look(&v.sealed[i].over)
	}
	return is
}

// replaces returns the units that writing a range will free for certain, or that are
// counted already, and those that will be the volume's own no more.
func (v *Volume) replaces(off, n int64) (units, keeps int64, err error) {
	v.mu.RLock()
	freezing := v.freezing() > 0
	v.mu.RUnlock()
	err = v.p.db.View(func(tx *bolt.Tx) error {
		for page := off / block.Page; page*block.Page < off+n; page++ {
			if v.waiting(page) {
				units, keeps = units+pageUnits, keeps+pageUnits
				continue
			}
			own, err := v.keepsOf(tx, page, off, n)
			if err != nil {
				return err
			}
			keeps += own
			if freezing {
				continue // the snapshot that is being made shows what is there
			}
			frees, err := v.frees(tx, pageBucket, page)
			if err != nil {
				return err
			}
			if frees > 0 {
				units += own
			}
		}
		return nil
	})
	return units, keeps, err
}

// keepsOf returns how many of a page's units a write of a range doesn't make more, if the
// page's are its own: of a split page those of blocks that are stored, or not written.
func (v *Volume) keepsOf(tx *bolt.Tx, page, off, n int64) (keeps int64, err error) {
	e, err := lookup(tx, pageBucket, v.id, page)
	if err != nil || e.kind != stored {
		return 0, err
	}
	for u := range int64(pageUnits) {
		at := page*block.Page + u*unitSize
		if !e.split || e.parts[u] != noPart || at >= off+n || at+unitSize <= off {
			keeps++
		}
	}
	if e.packed {
		keeps = int64(e.units())
	}
	return keeps, nil
}

// levels are the fullness, in percent, at which people are told.
var levels = [...]int{75, 85, 95}

// IsFull is the level at which large writes are refused: the last of the room is kept for
// what is on its way.
const IsFull = 100

// Level returns the highest level that the pool has reached, 0 for none.
func (p *Pool) Level() (reached int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit := p.units.limit; limit-p.spare()-underWay(limit)-p.units.used-p.aside < block.MaxIO/unitSize {
		return IsFull
	}
	for _, l := range levels {
		if (p.units.used+p.aside)*100 >= p.units.limit*int64(l) {
			reached = l
		}
	}
	return reached
}
