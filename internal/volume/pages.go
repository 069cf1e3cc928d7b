// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// change is a page's new content.
type change struct {
	v    *Volume
	page int64
	e    entry  // with birth; the rest is filled in on the way
	data []byte // nil for zeros
	// bytes is what is stored: data, or data packed, in whole units. nil if other
	// entries have the same content, which is then the entry's, or the change's that
	// comes earlier.
	bytes  []byte
	print  *fingerprint
	same   *change
	shared bool
	bad    uint8 // units, by bit, that must fail their checksums: see fill
	// blocks are, by bit, those that get units of their own while the others stay where
	// before says; 0 if the page is written whole.
	blocks uint8
	before entry
	// adopted: the content is on pages already, and e says where.
	adopted bool
}

// write puts pages in fresh units, flushes them, and turns the map to them. The changes
// are all of one volume, or go to the shadow. p.single is held.
func (p *Pool) write(into bucket, changes []change) error {
	return p.writeThen(into, changes, func(e *edit) error {
		for i := range changes {
			if err := e.write(into, changes[i].v, changes[i].page, changes[i].e); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeThen is write with another way to turn the map.
func (p *Pool) writeThen(into bucket, changes []change, turn func(*edit) error) error {
	if p.broken != nil {
		return fmt.Errorf("the CPG must be opened again after: %w", p.broken)
	}
	if err := p.mapCanGrow(); err != nil {
		return err
	}
	if err := p.prepare(changes); err != nil {
		return err
	}
	taken, err := p.take(into, changes)
	if errors.Is(err, errScattered) && !p.o.Former {
		p.scatter(changes)
		taken, err = p.take(into, changes)
	}
	if err != nil {
		return err
	}
	err = p.writePages(changes, taken)
	if err == nil {
		err = p.edit(func(e *edit) error {
			if err := e.adopt(changes); err != nil {
				return err
			}
			return turn(e)
		})
	}
	if err != nil && p.broken == nil {
		p.giveBack(taken)
	}
	return err
}

func (p *Pool) giveBack(taken []run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range taken {
		p.units.give(r)
	}
}

// take takes the units that the changes need.
func (p *Pool) take(into bucket, changes []change) ([]run, error) {
	var sizes []int
	total := int64(0)
	for i := range changes {
		c := &changes[i]
		switch n := len(c.bytes) / unitSize; {
		case n == 0:
		case c.split():
			total += int64(n)
			for range n {
				sizes = append(sizes, 1)
			}
		default:
			total += int64(c.e.units())
			sizes = append(sizes, c.e.units())
		}
	}
	if total == 0 {
		return nil, nil
	}
	if err := p.fits(into, changes, total); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs, err := p.units.takeAll(sizes)
	if err != nil {
		return nil, err
	}
	taken := make([]run, len(addrs))
	for i, a := range addrs {
		taken[i] = run{a, sizes[i]}
	}
	return taken, nil
}

// writePages writes neighbours in one go: their content lies side by side too.
func (p *Pool) writePages(changes []change, taken []run) error {
	if len(taken) == 0 {
		return nil
	}
	since, end := p.failures.Load(), int64(0)
	for _, r := range taken {
		end = max(end, r.addr+int64(r.n))
	}
	if err := p.extend(end * unitSize); err != nil {
		return err
	}
	if err := p.writePieces(pieces(changes, taken)); err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	if err := p.flushPages(since); err != nil {
		return fmt.Errorf("flush pages: %w", err)
	}
	p.keepWritten(changes)
	return nil
}

// flushPages makes durable what was written since failures of a flush were counted. The
// kernel tells of a failure once, to whoever flushes first, and may have dropped what
// others wrote: they must write it again.
func (p *Pool) flushPages(since uint64) error {
	p.flushing.RLock()
	err := p.pages.Sync()
	if err != nil {
		p.failures.Add(1)
	}
	p.flushing.RUnlock()
	if err != nil {
		return err
	}
	p.flushing.Lock() // flushes that were under way beside this one are counted
	defer p.flushing.Unlock()
	if p.failures.Load() != since {
		return array.Errorf(array.Medium, "a flush that others began failed meanwhile")
	}
	return nil
}

// piece is content that lies side by side in memory and goes side by side to the file.
type piece struct {
	addr int64
	b    []byte
}

// pieces says where each change's content goes, and what there is to write.
func pieces(changes []change, taken []run) (all []piece) {
	i := 0
	for k := range changes {
		c := &changes[k]
		if c.bytes == nil {
			continue
		}
		if c.split() {
			k := 0
			for u := range pageUnits {
				if c.e.parts[u] != partToCome {
					continue
				}
				b := c.bytes[k*unitSize : (k+1)*unitSize]
				c.e.parts[u] = taken[i].addr
				all = join(all, piece{taken[i].addr, b})
				i, k = i+1, k+1
			}
			continue
		}
		r := taken[i]
		i++
		c.e.addr = r.addr
		all = join(all, piece{r.addr, c.bytes[:r.n*unitSize]})
	}
	return all
}

const (
	// longPiece is how long pieces become, and longAtOnce how many bytes of them are on
	// their way at a time: a journal's flush waits for what the disk has begun.
	longPiece  = 256 << 10
	longAtOnce = 1 << 20
)

// join adds a piece to the last one if it continues that.
func join(all []piece, x piece) []piece {
	if l := len(all) - 1; l >= 0 && len(all[l].b)+len(x.b) <= longPiece && all[l].continues(x.addr, x.b) {
		all[l].b = all[l].b[:len(all[l].b)+len(x.b)]
		return all
	}
	return append(all, x)
}

// continues reports whether b, at addr, lies behind the piece in memory and in the file.
func (x *piece) continues(addr int64, b []byte) bool {
	end := len(x.b)
	return addr == x.addr+int64(end/unitSize) && cap(x.b)-end >= len(b) && &x.b[:end+1][end] == &b[0]
}

// writePieces writes several at a time.
func (p *Pool) writePieces(all []piece) error {
	var next atomic.Int64
	longest := 1
	for i := range all {
		longest = max(longest, len(all[i].b))
	}
	errs := make([]error, min(len(all), p.o.AtOnce, max(1, longAtOnce/longest)))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				_, errs[w] = p.pages.WriteAt(all[i].b, all[i].addr*unitSize)
				p.kept.drop(all[i].addr, len(all[i].b)/unitSize)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// adopt counts what the changes share, before anything is dropped: it may be the last of
// its kind that a change drops.
func (e *edit) adopt(changes []change) error {
	for i := range changes {
		c := &changes[i]
		if c.same != nil {
			birth := c.e.birth
			c.e, c.shared = c.same.e, true
			c.e.birth = birth
		}
		if c.shared {
			if err := e.share(c.e.addr); err != nil {
				return err
			}
		} else if c.print != nil {
			if err := e.keepPrint(*c.print, c.e); err != nil {
				return err
			}
		}
	}
	return nil
}

// extend makes the page file reach to size.
func (p *Pool) extend(size int64) error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if size <= p.fileSize {
		return nil
	}
	p.mu.Lock()
	limit := p.units.limit * unitSize
	p.mu.Unlock()
	size = min((size+p.o.Grow-1)/p.o.Grow*p.o.Grow, max(size, limit))
	if err := p.pages.Allocate(size); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return &array.Error{Kind: array.Full, Text: fmt.Sprintf("no room to grow the page file to %d bytes", size), Err: err}
		}
		return fmt.Errorf("grow page file to %d bytes: %w", size, err)
	}
	p.fileSize = size
	p.mu.Lock()
	p.units.end = size / unitSize
	p.mu.Unlock()
	return nil
}

// readPart reads a part of a stored page and checks what it reads.
func (p *Pool) readPart(dst []byte, in int64, e *entry) error {
	if e.packed {
		return p.readPacked(dst, in, e)
	}
	from := in / unitSize * unitSize
	to := (in + int64(len(dst)) + unitSize - 1) / unitSize * unitSize
	b := dst
	if in != from || int64(len(dst)) != to-from || !vfs.Aligned(dst) {
		page := p.scratchPage()
		defer p.scratch.Put(page)
		b = (*page)[:to-from]
	}
	if err := p.readUnits(b, e, int(from/unitSize)); err != nil {
		return err
	}
	copy(dst, b[in-from:])
	return nil
}

// readUnits reads whole units of an entry, from the first-th on, and checks them.
func (p *Pool) readUnits(b []byte, e *entry, first int) error {
	if err := p.readStored(b, e, first); err != nil {
		return err
	}
	for i := range len(b) / unitSize {
		if e.split && e.parts[first+i] == noPart {
			continue
		}
		if got, want := blockSum(b[i*unitSize:(i+1)*unitSize]), e.crc[first+i]; got != want && !p.o.NoChecksum {
			return sumError{got, want}
		}
	}
	return nil
}

// sumError says that what was read is not what was written.
type sumError struct{ got, want uint32 }

func (s sumError) Error() string { return fmt.Sprintf("checksum is %08x, not %08x", s.got, s.want) }

// scratchPage returns a page's room for a read, to be Put back.
func (p *Pool) scratchPage() *[]byte {
	if b, ok := p.scratch.Get().(*[]byte); ok {
		return b
	}
	b := vfs.NewBuffer(block.Page)
	return &b
}
