// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

// Outside is the payload of a large record that lies outside the journal, on units of the
// pool that are held until the journal lets go of the record. The destage has only to
// map them. Of a payload that covers pages in part, those parts are in the journal.
type Outside struct {
	p       *Pool
	off     int64 // of the payload in the volume
	payload []byte

	// where is set while units are held; p.mu guards it.
	where *whereabouts
}

// whereabouts is where whole pages of a payload are.
type whereabouts struct {
	head, tail []byte // what is before and behind the pages
	first      int64  // page
	pages      []entry
}

// maxOutside bounds the pages of one payload.
const maxOutside = 4096

// Outside returns what puts a record's payload on pages at once, nil if it should go
// through the journal: if it is small, or stored in another way than as it is.
func (v *Volume) Outside(r *journal.Record) journal.Outside {
	first, end := wholePages(r.Offset, int64(len(r.Payload)))
	if r.Kind != journal.Data || v.p.o.Outside < 0 || len(r.Payload) < v.p.o.Outside || end <= first || end-first > maxOutside {
		return nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.spec.Provisioning == Dedup || v.spec.Compress || v.snap != nil || v.gone {
		return nil
	}
	return &Outside{p: v.p, off: r.Offset, payload: r.Payload}
}

// wholePages returns the pages, from first to before end, that a range covers.
func wholePages(off, n int64) (first, end int64) {
	return (off + block.Page - 1) / block.Page, (off + n) / block.Page
}

// Write implements journal.Outside.
func (o *Outside) Write(known func(ref []byte)) ([]byte, error) {
	first, end := wholePages(o.off, int64(len(o.payload)))
	head := first*block.Page - o.off
	body := o.payload[head : head+(end-first)*block.Page]
	w := &whereabouts{head: o.payload[:head], tail: o.payload[head+int64(len(body)):], first: first, pages: make([]entry, end-first)}
	if !vfs.Aligned(body) {
		moved := vfs.NewBuffer(len(body))
		copy(moved, body)
		body = moved
	}
	ref, err := o.write(w, body, known)
	if err != nil {
		return nil, fmt.Errorf("put %d bytes on pages at once: %w", len(o.payload), err)
	}
	w.head, w.tail, o.payload = nil, nil, nil
	o.p.mu.Lock()
	o.where = w
	o.p.mu.Unlock()
	return ref, nil
}

// write writes the pages, and says where while they are on their way: their checksums, by
// which it is known after a crash whether they came there, are made meanwhile.
func (o *Outside) write(w *whereabouts, body []byte, known func(ref []byte)) (ref []byte, err error) {
	p := o.p
	need := 0
	for i := range w.pages {
		if isZero(body[i*block.Page : (i+1)*block.Page]) {
			w.pages[i] = entry{kind: zeroes}
			continue
		}
		w.pages[i] = entry{kind: stored, length: block.Page}
		need++
	}
	end, err := p.holdPages(w.pages, need)
	if err != nil {
		return nil, err
	}
	since := p.failures.Load()
	if err = p.extend(end * unitSize); err == nil {
		written := make(chan error, 1)
		go func() { written <- p.writeStretches(w.pages, body, since) }()
		sumPages(w.pages, body)
		ref = p.encodeOutside(w)
		known(ref)
		err = <-written
	}
	if err != nil {
		p.unhold(w.pages)
	}
	return ref, err
}

// writeStretches writes the stored ones of some pages, durably.
func (p *Pool) writeStretches(pages []entry, body []byte, since uint64) error {
	any := false
	err := eachStretch(pages, func(from, to int) error {
		any = true
		_, err := p.pages.WriteAt(body[from*block.Page:to*block.Page], pages[from].addr*unitSize)
		p.kept.drop(pages[from].addr, (to-from)*pageUnits)
		return err
	})
	if err != nil || !any {
		return err
	}
	return p.flushPages(since)
}

// CheckOutside reports whether the pages that a reference of this pool names hold what it
// says, and makes them durable then. The record that has the reference is whole, so what
// can't be a reference leads beyond a file that did not grow in time.
func (p *Pool) CheckOutside(ref []byte) (bool, error) {
	w, err := p.decodeOutside(ref)
	if err != nil {
		return false, nil
	}
	b := vfs.NewBuffer(len(w.head) + len(w.pages)*block.Page + len(w.tail))
	switch err := p.LoadOutside(ref, b); {
	case errors.As(err, new(sumError)):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, p.pages.Sync()
}

// sumPages fills in the checksums of stored pages.
func sumPages(pages []entry, body []byte) {
	for i := range pages {
		if pages[i].kind == stored {
			for u := range pageUnits {
				at := i*block.Page + u*unitSize
				pages[i].crc[u] = blockSum(body[at : at+unitSize])
			}
		}
	}
}

// eachStretch calls fn for pages that are stored side by side, the longest first to last.
func eachStretch(pages []entry, fn func(from, to int) error) error {
	for from := 0; from < len(pages); {
		to := from + 1
		for to < len(pages) && pages[from].kind == stored && pages[to].kind == stored && pages[to].addr == pages[to-1].addr+pageUnits {
			to++
		}
		if pages[from].kind == stored {
			if err := fn(from, to); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

// holdPages holds units for the stored ones of some pages, and returns how far the page
// file must reach. What is kept for others, or for replacing pages, is not touched: there
// the journal's way does with less.
func (p *Pool) holdPages(pages []entry, n int) (end int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int64(n*pageUnits)+p.pending+underWay(p.units.limit) > p.free() || p.held+int64(n) > p.mostHeld() {
		return 0, array.Errorf(array.Full, "too little is free")
	}
	addrs, err := p.units.takePages(n)
	if err != nil {
		return 0, err
	}
	k := 0
	for i := range pages {
		if pages[i].kind != stored {
			continue
		}
		r := run{addrs[k], pageUnits}
		k++
		p.units.hold(r, true)
		p.units.give(r)
		pages[i].addr = r.addr
		end = max(end, r.addr+pageUnits)
	}
	p.held += int64(n)
	return end, nil
}

// mostHeld bounds the pages that may be held: as long as the other array is away, the
// journal lets go of nothing.
func (p *Pool) mostHeld() int64 { return min((512<<20)/block.Page, p.units.limit/pageUnits/16) }

func (p *Pool) unhold(pages []entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range pages {
		if pages[i].kind == stored {
			p.units.hold(run{pages[i].addr, pageUnits}, false)
			p.held--
		}
	}
}

// Drop implements journal.Outside. What was mapped stays.
func (o *Outside) Drop() {
	o.p.mu.Lock()
	w := o.where
	o.where = nil
	o.p.mu.Unlock()
	if w != nil {
		o.p.unhold(w.pages)
		o.p.tellRoom()
	}
}

// Crowded reports whether the pool is short of room, and the journal holds some of it: it
// should keep no more than it must.
func (p *Pool) Crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held > 0 && p.free() < p.units.limit/8
}

// findWhole sets whole if one record of the layer, with its payload outside, covers a page.
func (s *staged) findWhole(l *overlay, page int64) {
	start, end := page*block.Page, (page+1)*block.Page
	l.each(start, end, func(e *extent) bool {
		if e.out == nil || e.start > start || e.end < end {
			return false
		}
		e.out.p.mu.Lock()
		defer e.out.p.mu.Unlock()
		if e.out.mayAdopt(page) != nil {
			s.whole, s.birth = e.out, e.place
		}
		return false
	})
}

// mayAdopt returns where a page is if it can be mapped there: not if it is already. After
// a restart records are applied again whose pages a snapshot may have, and nothing counts
// those who have it. p.mu is held, and p.single.
func (o *Outside) mayAdopt(page int64) *entry {
	w := o.where
	if w == nil || page < w.first || page >= w.first+int64(len(w.pages)) {
		return nil
	}
	e := &w.pages[page-w.first]
	if e.kind == stored && o.p.units.any(run{e.addr, pageUnits}) {
		return nil
	}
	return e
}

// adopt makes changes of pages whose content is in place: from here on their units count
// as mapped.
func (v *Volume) adopt(l *overlay, changes []change, all []staged) {
	for i := range changes {
		if all[i].whole == nil || v.adoptOne(&changes[i], all[i].whole) {
			continue
		}
		// The journal has dropped the record meanwhile: its group is being removed.
		v.mu.RLock()
		l.copy(all[i].buf, changes[i].page*block.Page, nil)
		v.mu.RUnlock()
	}
}

func (v *Volume) adoptOne(c *change, o *Outside) bool {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	e := o.mayAdopt(c.page)
	if e == nil {
		return false
	}
	birth := c.e.birth
	c.e, c.data, c.adopted = *e, nil, true
	if c.e.birth = birth; c.e.kind == stored {
		v.p.units.set(run{c.e.addr, pageUnits}, true)
	}
	return true
}

// disown takes back what adopt did.
func (p *Pool) disown(changes []change) {
	if p.broken != nil {
		return
	}
	var units []run
	for i := range changes {
		if c := &changes[i]; c.adopted && c.e.kind == stored {
			units = append(units, run{c.e.addr, pageUnits})
		}
	}
	p.giveBack(units)
}

// LoadOutside reads the payload that a reference of this pool names, of len(dst) bytes.
func (p *Pool) LoadOutside(ref []byte, dst []byte) error {
	w, err := p.decodeOutside(ref)
	if err != nil {
		return err
	}
	if n := len(w.head) + len(w.pages)*block.Page + len(w.tail); n != len(dst) {
		return array.Errorf(array.Medium, "a reference to %d bytes outside the journal names %d", len(dst), n)
	}
	body := dst[copy(dst, w.head):]
	copy(body[len(w.pages)*block.Page:], w.tail)
	for i := range w.pages {
		if w.pages[i].kind == zeroes {
			clear(body[i*block.Page : (i+1)*block.Page])
		}
	}
	return eachStretch(w.pages, func(from, to int) error {
		b := body[from*block.Page : to*block.Page]
		err := p.loadStretch(b, w.pages[from:to])
		if err != nil {
			return fmt.Errorf("%d bytes outside the journal, in unit %d: %w", len(b), w.pages[from].addr, err)
		}
		return nil
	})
}

// loadStretch reads pages that lie side by side.
func (p *Pool) loadStretch(b []byte, pages []entry) error {
	in := b
	if !vfs.Aligned(b) {
		in = vfs.NewBuffer(len(b))
	}
	if _, err := p.pages.ReadAt(in, pages[0].addr*unitSize); err != nil {
		return err
	}
	copy(b, in)
	for i := range pages {
		for u := range pageUnits {
			at := i*block.Page + u*unitSize
			if got, want := blockSum(b[at:at+unitSize]), pages[i].crc[u]; got != want && !p.o.NoChecksum {
				return sumError{got, want}
			}
		}
	}
	return nil
}

// ClaimOutside holds what a reference of this pool names, after a restart. It must come
// before anything is written to the pool.
func (p *Pool) ClaimOutside(ref []byte) (*Outside, error) {
	w, err := p.decodeOutside(ref)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range w.pages {
		if w.pages[i].kind != stored {
			continue
		}
		r := run{w.pages[i].addr, pageUnits}
		p.units.grow(r.addr + pageUnits)
		p.units.hold(r, true)
		p.held++
	}
	off := w.first*block.Page - int64(len(w.head))
	w.head, w.tail = nil, nil
	return &Outside{p: p, off: off, where: w}, nil
}

var errNoReference = errors.New("it is no reference to pages of this CPG")
