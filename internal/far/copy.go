// SPDX-License-Identifier: Apache-2.0

package far

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Volumes are those of a copy. Pages are as many bytes as there are of them.
type Volumes interface {
	// Have is the point at which they are kept, 0 for none.
	Have() (tag uint64, err error)
	// Ready makes the volumes of a point, or makes them larger; it refuses what the copy
	// can't be, and a source that is not its own. It may be asked again.
	Ready(ctx context.Context, q Request) error
	// Back makes them what they were at the point at which they are kept, and empties those
	// that it lacks.
	Back(ctx context.Context) error
	// Size returns the length of the copy of a source's volume.
	Size(v VolumeID) (int64, error)
	// Read reads a page of one; what is beyond its end is zeros.
	Read(ctx context.Context, v VolumeID, page int64, dst []byte) error
	// Empty makes a range of one zeros, durably.
	Empty(ctx context.Context, v VolumeID, off, length int64) error
	// Write makes a range of one durable; nil data are zeros.
	Write(ctx context.Context, v VolumeID, off int64, length int64, data []byte) error
	// Keep keeps them as they are now, in one moment for all, as the point of q.
	Keep(ctx context.Context, q Request) error
	// Note keeps, durably, how far a transfer is; Noted returns it. What is noted must not
	// outlive a change of the array that serves the copy.
	Note(t Transfer) error
	Noted() (Transfer, error)
}

// Transfer is how far pages of a point have come.
type Transfer struct {
	Tag   uint64 `json:"tag"`
	Base  uint64 `json:"base"`
	Whole bool   `json:"whole,omitempty"` // everything is compared, whatever there was
	Done  Cursor `json:"done"`
}

// noteEvery is how often a transfer is noted at most.
const noteEvery = 2 * time.Second

// Copy is the half of a group that follows a source.
type Copy struct {
	v   Volumes
	now func() time.Time

	// mu is held shared by pages, and alone by everything else.
	mu  sync.RWMutex
	run uint64
	q   Request // that began the run

	noting sync.Mutex
	t      Transfer
	noted  time.Time
}

// NewCopy returns the copy that lives in volumes.
func NewCopy(v Volumes, now func() time.Time) *Copy { return &Copy{v: v, now: now} }

// Begin prepares a transfer, of which draw names the run.
func (c *Copy) Begin(ctx context.Context, q Request, draw func() uint64) (a Answer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.Epoch < c.q.Epoch || q.Epoch == c.q.Epoch && q.Term < c.q.Term {
		return a, array.Errorf(array.Moved, "the group has another source since: epoch %d term %d, not %d and %d", c.q.Epoch, c.q.Term, q.Epoch, q.Term)
	}
	if q.Tag == 0 {
		return a, array.Errorf(array.Invalid, "a point without a tag")
	}
	c.run = 0
	if err := c.v.Ready(ctx, q); err != nil {
		return a, err
	}
	if a.Have, err = c.v.Have(); err != nil {
		return a, err
	}
	if a.Have == q.Tag || q.Base != 0 && q.Base != a.Have {
		return a, nil
	}
	t, err := c.v.Noted()
	if err != nil {
		return a, err
	}
	if whole := q.Base == 0; t.Tag != q.Tag || t.Base != a.Have || t.Whole != whole {
		// Noted before: should this end in the middle, nobody may take it for begun.
		if err := c.v.Note(Transfer{}); err != nil {
			return a, err
		}
		if !whole {
			if err := c.v.Back(ctx); err != nil {
				return a, fmt.Errorf("go back to the last point: %w", err)
			}
		}
		t = Transfer{Tag: q.Tag, Base: a.Have, Whole: whole}
		if err := c.v.Note(t); err != nil {
			return a, err
		}
	}
	c.t, c.noted, c.q = t, c.now(), q
	c.run = draw()
	a.Run, a.From = c.run, t.Done
	return a, nil
}

// Pages writes pages of the run.
func (c *Copy) Pages(ctx context.Context, q Request) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if err := c.mine(q); err != nil {
		return err
	}
	size, err := c.v.Size(q.Volume)
	if err != nil {
		return err
	}
	// Neighbours are written together.
	type span struct {
		off, length int64
		data        []byte
	}
	var spans []span
	data := q.Data
	for _, p := range q.Pages {
		if p.Number >= (size+block.Page-1)/block.Page {
			return array.Errorf(array.Invalid, "page %d of volume %v, which has %d bytes", p.Number, q.Volume, size)
		}
		off := p.Number * block.Page
		s := span{off: off, length: min(block.Page, size-off)}
		if !p.Zero {
			s.data, data = data[:s.length:s.length], data[block.Page:]
		}
		if n := len(spans); n > 0 && spans[n-1].off+spans[n-1].length == off && (spans[n-1].data == nil) == p.Zero {
			spans[n-1].length += s.length
			spans[n-1].data = append(spans[n-1].data, s.data...)
			continue
		}
		spans = append(spans, s)
	}
	for _, s := range spans {
		if err := c.v.Write(ctx, q.Volume, s.off, s.length, s.data); err != nil {
			return err
		}
	}
	return c.note(q.Done)
}

// Sums says which pages of a range lack, and empties what is between them.
func (c *Copy) Sums(ctx context.Context, q Request) (lacks []int64, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if err := c.mine(q); err != nil {
		return nil, err
	}
	if c.q.Base != 0 || q.From < 0 || q.To < q.From {
		return nil, array.Errorf(array.Invalid, "checksums of the pages from %d to %d, of a transfer of what differs from point %x", q.From, q.To, c.q.Base)
	}
	size, err := c.v.Size(q.Volume)
	if err != nil {
		return nil, err
	}
	end := (size + block.Page - 1) / block.Page
	empty := func(from, to int64) error {
		if to = min(to, end); from >= to {
			return nil
		}
		return c.v.Empty(ctx, q.Volume, from*block.Page, min(to*block.Page, size)-from*block.Page)
	}
	at, buf := q.From, make([]byte, block.Page)
	for _, p := range q.Pages {
		if p.Number < at || p.Number >= min(q.To, end) {
			return nil, array.Errorf(array.Invalid, "the checksum of page %d, of a volume of %d, where those from %d to %d are meant", p.Number, end, at, q.To)
		}
		if err := empty(at, p.Number); err != nil {
			return nil, err
		}
		if err := c.v.Read(ctx, q.Volume, p.Number, buf); err != nil {
			return nil, err
		}
		if !bytes.Equal(sumOf(buf), p.Sum) {
			lacks = append(lacks, p.Number)
		}
		at = p.Number + 1
	}
	if err := empty(at, q.To); err != nil {
		return nil, err
	}
	return lacks, nil
}

// mine refuses what is of another run.
func (c *Copy) mine(q Request) error {
	if q.Run == 0 || q.Run != c.run || q.Tag != c.q.Tag {
		return array.Errorf(array.Aborted, "another run has begun, or this array has started anew")
	}
	return nil
}

// note keeps how far the transfer is, now and then. The cursor is of the requests before.
func (c *Copy) note(done Cursor) error {
	c.noting.Lock()
	defer c.noting.Unlock()
	if c.now().Sub(c.noted) < noteEvery || done.Lacks(c.t.Done.Volume, c.t.Done.Page) {
		return nil
	}
	t := c.t
	t.Done = done
	if err := c.v.Note(t); err != nil {
		return err
	}
	c.t, c.noted = t, c.now()
	return nil
}

// End keeps what came as the point.
func (c *Copy) End(ctx context.Context, q Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, err := c.v.Have(); err != nil || have == q.Tag {
		return err // it was told before
	}
	if err := c.mine(q); err != nil {
		return err
	}
	if err := c.v.Keep(ctx, c.q); err != nil {
		return err
	}
	c.run = 0
	return c.v.Note(Transfer{})
}

// Stop ends the run: when it returns, no page of it is under way, and none comes any more.
func (c *Copy) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = 0
}
