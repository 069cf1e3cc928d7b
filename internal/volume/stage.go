// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// destageLayer puts the records of the oldest layer on pages, and lets go of them as it
// goes on: whoever waits for memory need not wait for all of it.
func (v *Volume) destageLayer(into bucket, l *overlay) error {
	pages, err := v.dirtyPages(into, l)
	if err != nil {
		return err
	}
	for most := v.p.o.Batch; len(pages) > 0; {
		batch := pages[:min(len(pages), most)]
		changes, err := v.stage(into, l, batch)
		if err != nil {
			return err
		}
		if err = v.p.write(into, changes); err != nil {
			v.p.disown(changes)
		}
		if array.KindOf(err) == array.Full && len(batch) > v.p.o.Batch/32 {
			most = len(batch) / 2 // less at a time takes less room until what it replaces is free
			continue
		}
		if err != nil {
			return err
		}
		pages = pages[len(batch):]
		v.mu.Lock()
		for _, page := range batch {
			l.clear(page*block.Page, (page+1)*block.Page, everything)
		}
		v.turn++
		v.mu.Unlock()
		v.p.tellRoom()
	}
	return nil
}

// tellRoom tells those who wait for memory that there is some.
func (p *Pool) tellRoom() {
	p.mu.Lock()
	room := p.starved && p.overlay < p.o.Overlay
	if room {
		p.starved = false
	}
	p.mu.Unlock()
	if room && p.o.OnRoom != nil {
		p.o.OnRoom()
	}
}

// staged is a page on its way to the staging buffer.
type staged struct {
	buf    []byte  // of the page, as far as the volume goes
	gaps   []span  // what the layer hasn't
	room   [2]span // for gaps: most pages have no more
	birth  array.Place
	bad    uint8    // blocks that are bad on disk and not in the layer
	err    error    // what the disk or the checksum said of them
	fails  bool     // the error may pass: the page is staged again later
	blocks uint8    // those that are written apart, 0 for all together
	whole  *Outside // set if one record covers the page and put it on pages already
}

// stage makes the new content of some pages: what the layer has, over what is on disk.
// p.single is held, so nothing else changes the map or the layer meanwhile.
func (v *Volume) stage(into bucket, l *overlay, batch []int64) ([]change, error) {
	size := v.Spec().Size
	all := make([]staged, len(batch))
	v.mu.RLock()
	for i, page := range batch {
		off := page * block.Page
		buf := v.p.staging[i*block.Page : (i+1)*block.Page]
		n := min(block.Page, size-off)
		all[i].buf = buf[:n]
		if all[i].findWhole(l, page); all[i].whole != nil {
			continue
		}
		clear(buf[n:])
		all[i].birth, all[i].gaps = l.copy(buf[:n], off, all[i].room[:0])
	}
	v.mu.RUnlock()
	entries, err := v.entriesOf(into, batch)
	if err == nil {
		err = v.splitPages(into, batch, all, entries)
	}
	if err != nil {
		return nil, err
	}
	v.fillGaps(batch, all, entries)
	changes := make([]change, len(batch))
	for i, page := range batch {
		s := &all[i]
		if s.fails {
			return nil, fmt.Errorf("read page %d of volume %s: %w", page, v.id, s.err)
		}
		birth := max(s.birth, entries[i].birth)
		if s.bad != 0 && v.p.o.OnBad != nil {
			v.p.o.OnBad(Bad{Volume: v.id, Page: page, Birth: birth, Err: s.err})
		}
		changes[i] = change{
			v: v, page: page, e: entry{birth: birth}, bad: s.bad,
			data: v.p.staging[i*block.Page : (i+1)*block.Page], blocks: s.blocks,
		}
		if s.blocks != 0 {
			changes[i].before = entries[i]
		}
	}
	v.adopt(l, changes, all)
	return changes, nil
}

// copy copies what the layer has of a range, and returns its latest place and, appended to
// gaps, what it hasn't.
func (o *overlay) copy(dst []byte, off int64, gaps []span) (birth array.Place, _ []span) {
	at, end := off, off+int64(len(dst))
	o.each(off, end, func(e *extent) bool {
		from, to := max(e.start, off), min(e.end, end)
		if from > at {
			gaps = append(gaps, span{at, from})
		}
		if e.data == nil {
			clear(dst[from-off : to-off])
		} else {
			copy(dst[from-off:to-off], e.data[from-e.start:])
		}
		birth, at = max(birth, e.place), to
		return true
	})
	if at < end {
		gaps = append(gaps, span{at, end})
	}
	return birth, gaps
}

// entriesOf returns the entries that pages have below the layer that is being destaged.
func (v *Volume) entriesOf(into bucket, pages []int64) ([]entry, error) {
	entries := make([]entry, len(pages))
	path, layered := v.path(), into == shadowBucket || v.layered(hostView)
	if len(path) == 1 && !layered {
		for i, page := range pages {
			l, err := v.p.leafAt(v.id, page/leafPages)
			if err != nil {
				return nil, err
			}
			entries[i] = l[page%leafPages]
		}
		return entries, nil
	}
	err := v.p.db.View(func(tx *bolt.Tx) (err error) {
		for i, page := range pages {
			if entries[i], err = find(tx, path, page, layered); err != nil {
				return err
			}
		}
		return nil
	})
	return entries, err
}

// fillGaps reads what the layer hasn't, several pages at a time.
func (v *Volume) fillGaps(pages []int64, all []staged, entries []entry) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, v.p.o.AtOnce)
	for i := range all {
		s, e := &all[i], &entries[i]
		if len(s.gaps) == 0 {
			continue
		}
		if e.kind != stored {
			for _, g := range s.gaps {
				clear(s.buf[g.start-pages[i]*block.Page : g.end-pages[i]*block.Page])
			}
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			v.fill(pages[i], s, e)
		})
	}
	wg.Wait()
}

// fill reads the gaps of one page. Where the disk's content is bad, blocks that the layer
// doesn't replace are bad in the result too: the destage goes on, and whoever reads them
// meets the damage, until it is repaired or overwritten.
func (v *Volume) fill(page int64, s *staged, e *entry) {
	off := page * block.Page
	for _, g := range s.gaps {
		for at := g.start - off; at < g.end-off; {
			to := min(g.end-off, (at/unitSize+1)*unitSize)
			if len(s.gaps) == 1 && s.err == nil {
				to = g.end - off // in one read, unless that shows damage
			}
			err := v.p.readPart(s.buf[at:to], at, e)
			if s.fails = v.mayPass(page, err); s.fails {
				s.err = err
				return
			}
			if err != nil && to > (at/unitSize+1)*unitSize {
				s.err = err
				continue // block by block
			}
			if err != nil {
				s.bad |= 1 << (at / unitSize)
				s.err = err
			}
			at = to
		}
	}
	for b := range int64(pageUnits) {
		if s.bad>>b&1 == 1 && b*unitSize < int64(len(s.buf)) {
			clear(s.buf[b*unitSize : min(int64(len(s.buf)), (b+1)*unitSize)])
		}
	}
}

// readTries is how often a destage reads a page that gives an error before it takes the
// content for lost: a path may be away for some seconds.
const readTries = 8

// mayPass reports whether an error of reading a page is not to be believed yet. Content
// that fails its checksum is what the disk has.
func (v *Volume) mayPass(page int64, err error) bool {
	p, key := v.p, pageName{v.id, page}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || errors.As(err, new(sumError)) || errors.Is(err, errPacked) {
		delete(p.unread, key)
		return false
	}
	if len(p.unread) >= maxUnread {
		return true
	}
	p.unread[key]++
	return p.unread[key] < readTries
}
