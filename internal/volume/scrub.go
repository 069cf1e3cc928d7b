// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// Cursor is where a scrub stands: all before it was looked at.
type Cursor struct {
	Volume array.VolumeID `json:"volume"`
	Page   int64          `json:"page"`
}

// Mapped returns the pages from from to end, at most most of them, that have content of
// the volume's own on disk, and up to where it looked.
func (v *Volume) Mapped(from, end int64, most int) (pages []int64, next int64, err error) {
	layered := v.layered(hostView)
	last := pagesOf(v.Spec().Size)
	from, end = max(from, 0), min(end, last)
	next = end
	looked := 0
	err = v.p.db.View(func(tx *bolt.Tx) error {
		add := func(page int64, e entry) bool {
			if looked++; len(pages) == most || looked > lookAt {
				next = min(next, page)
				return false
			}
			if e.kind == stored {
				pages = append(pages, page)
			}
			return true
		}
		if err := eachEntry(tx, pageBucket, v.id, from, end, add); err != nil || !layered {
			return err
		}
		have := pages
		pages, looked = nil, 0
		if err := eachEntry(tx, shadowBucket, v.id, from, next, add); err != nil {
			return err
		}
		pages = append(pages, have...)
		slices.Sort(pages)
		pages = slices.Compact(pages)
		pages = pages[:max(0, sortedBelow(pages, next))]
		return nil
	})
	if err != nil {
		return nil, from, fmt.Errorf("mapped pages of volume %s: %w", v.id, err)
	}
	return pages, next, nil
}

// sortedBelow returns how many of the sorted pages are below end.
func sortedBelow(pages []int64, end int64) int {
	n, _ := slices.BinarySearch(pages, end)
	return n
}

// scrubStep is how many pages are looked up at once: one leaf of the map.
const scrubStep = leafPages

// Scrub reads every page of the pool from the cursor on and holds it against its
// checksums, at most rate bytes a second; 0 is as fast as it goes. After each page it
// calls report with where it is and the page if it is bad. It returns early, with the
// reason, when ctx or the pool ends; it can go on then from the last cursor told.
func (p *Pool) Scrub(ctx context.Context, at Cursor, rate int64, report func(Cursor, *Bad)) error {
	pace := pace{rate: rate, began: time.Now()}
	buf := vfs.NewBuffer(block.Page)
	for _, v := range p.sorted() {
		if v.id < at.Volume {
			continue
		}
		from := int64(0)
		if v.id == at.Volume {
			from = at.Page
		}
		for size := pagesOf(v.Spec().Size); from < size; {
			pages, next, err := v.Mapped(from, size, scrubStep)
			if err != nil {
				return fmt.Errorf("scrub: %w", err)
			}
			for _, n := range pages {
				if err := p.wait(ctx, &pace); err != nil {
					return fmt.Errorf("scrub: %w", err)
				}
				bad, err := v.scrub(n, buf)
				if err != nil {
					return fmt.Errorf("scrub: %w", err)
				}
				report(Cursor{v.id, n + 1}, bad)
			}
			from = max(next, from+1)
		}
	}
	return nil
}

// scrub looks at one page. That the volume was removed meanwhile is no error.
func (v *Volume) scrub(n int64, buf []byte) (*Bad, error) {
	_, err := v.Stored(n, buf)
	var bad *Bad
	switch {
	case errors.As(err, &bad):
		return bad, nil
	case array.KindOf(err) == array.NotFound:
		return nil, nil
	}
	return nil, err
}

// sorted returns the volumes by their ids.
func (p *Pool) sorted() []*Volume {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*Volume, 0, len(p.volumes))
	for _, v := range p.volumes {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *Volume) int { return cmp.Compare(a.id, b.id) })
	return out
}

// pace holds reads back to a rate.
type pace struct {
	rate, done int64
	began      time.Time
}

// wait lets the next page be read when it is its turn.
func (p *Pool) wait(ctx context.Context, c *pace) error {
	var d time.Duration
	if c.rate > 0 {
		d = time.Until(c.began.Add(time.Duration(float64(c.done) / float64(c.rate) * float64(time.Second))))
	}
	c.done += block.Page
	if d > time.Millisecond {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-p.stop:
		}
	}
	select {
	case <-p.stop:
		return array.Errorf(array.Aborted, "the pool is being closed")
	default:
		return ctx.Err()
	}
}
