// SPDX-License-Identifier: Apache-2.0

package far

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
)

// A Source has the snapshots of a point, and perhaps those of the one before.
type Source interface {
	// Changed calls fn, in order, for the pages of a volume from one on that may differ from
	// the base; for those that have something if whole, or if the base lacks the volume.
	Changed(v VolumeID, whole bool, from int64, fn func(page int64) bool) error
	// Read reads a page of the point. What is beyond the volume's end is zeros.
	Read(ctx context.Context, v VolumeID, page int64, dst []byte) error
}

// An Asker brings requests to the copy.
type Asker interface {
	Ask(ctx context.Context, q Request) (Answer, error)
}

// atOnce is how many requests with pages are under way; those behind wait for all of them.
const atOnce = 4

// Sent is what came of a point.
type Sent struct {
	// Pages is how many were sent, Whole that everything was compared, since the copy did not
	// have the base.
	Pages int64
	Whole bool
	// Copy is the copy's word at the beginning.
	Copy Answer
}

// Send brings a copy to the point of q, a Begin. It returns without an error once the copy
// stands there. Tell is told how far that is.
func Send(ctx context.Context, to Asker, q Request, src Source, tell func(progress.Amount)) (s Sent, err error) {
	slices.SortFunc(q.Volumes, func(a, b Volume) int { return cmp.Compare(a.ID, b.ID) })
	if s.Copy, err = to.Ask(ctx, q); err != nil {
		return s, fmt.Errorf("begin: %w", err)
	}
	if s.Copy.Have == q.Tag {
		return s, nil // it did not hear, or say, that it was over
	}
	if s.Whole = q.Base == 0; s.Copy.Run == 0 {
		q.Base, s.Whole = 0, true
		if s.Copy, err = to.Ask(ctx, q); err != nil {
			return s, fmt.Errorf("begin to compare everything: %w", err)
		}
		if s.Copy.Run == 0 {
			return s, array.Errorf(array.Internal, "the copy takes neither what changed nor what it lacks")
		}
	}
	w := sender{to: to, q: q, src: src, tell: tell, run: s.Copy.Run, done: s.Copy.From, whole: s.Whole}
	for _, v := range q.Volumes {
		w.all += v.Size
	}
	for _, v := range q.Volumes {
		w.size = v.Size
		if err := w.volume(ctx, v.ID); err != nil {
			return s, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		w.before += v.Size
	}
	s.Pages = w.sent
	end := Request{Kind: End, Group: q.Group, Tag: q.Tag, Time: q.Time, Run: w.run}
	if _, err := to.Ask(ctx, end); err != nil {
		return s, fmt.Errorf("end: %w", err)
	}
	return s, nil
}

// sender is one transfer.
type sender struct {
	to    Asker
	q     Request
	src   Source
	tell  func(progress.Amount)
	run   uint64
	whole bool
	done  Cursor
	sent  int64
	// size is that of the volume whose turn it is, before that of those that are done, and all
	// that of all, in bytes.
	size, before, all int64
}

func (w *sender) volume(ctx context.Context, v VolumeID) error {
	if v < w.done.Volume {
		return nil
	}
	from := int64(0)
	if v == w.done.Volume {
		from = w.done.Page
	}
	for last := false; !last; {
		var pages []int64
		if err := w.src.Changed(v, w.whole, from, func(n int64) bool {
			pages = append(pages, n)
			return len(pages) < atOnce*maxPages
		}); err != nil {
			return err
		}
		to, seen := int64(math.MaxInt64), w.size/block.Page+1
		if last = len(pages) < atOnce*maxPages; !last {
			to = pages[len(pages)-1] + 1
			seen = to
		}
		lacks, err := w.lacking(ctx, v, from, to, pages)
		if err == nil {
			err = w.each(ctx, lacks, func(ctx context.Context, part []int64) error { return w.pages(ctx, v, part) })
		}
		if err != nil {
			return err
		}
		w.sent += int64(len(lacks))
		if w.tell != nil {
			w.tell(progress.Amount{Done: w.before + min(w.size, seen*block.Page), Total: w.all, Bytes: w.sent * block.Page})
		}
		from = to
		w.done = Cursor{Volume: v, Page: from}
	}
	w.done = Cursor{Volume: v + 1}
	return nil
}

// each does something with pages, some at a time.
func (w *sender) each(ctx context.Context, pages []int64, do func(context.Context, []int64) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for part := range slices.Chunk(pages, maxPages) {
		g.Go(func() error { return do(ctx, part) })
	}
	return g.Wait()
}

// lacking returns which pages of a range are to be sent, and has the copy empty all others.
func (w *sender) lacking(ctx context.Context, v VolumeID, from, to int64, pages []int64) ([]int64, error) {
	if !w.whole {
		return pages, nil
	}
	var mu sync.Mutex
	var lacks []int64
	parts := slices.Collect(slices.Chunk(pages, maxPages))
	if len(parts) == 0 {
		parts = append(parts, nil) // what is there is nothing of the point's
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, part := range parts {
		q := Request{Kind: Sums, Group: w.q.Group, Tag: w.q.Tag, Run: w.run, Volume: v, Done: w.done, From: from, To: to}
		if i < len(parts)-1 {
			q.To = part[len(part)-1] + 1
			from = q.To
		}
		g.Go(func() error {
			buf := make([]byte, block.Page)
			for _, n := range part {
				if err := w.src.Read(ctx, v, n, buf); err != nil {
					return fmt.Errorf("page %d: %w", n, err)
				}
				q.Pages = append(q.Pages, Page{Number: n, Sum: sumOf(buf)})
			}
			a, err := w.to.Ask(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			lacks = append(lacks, a.Lacks...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(lacks)
	for _, n := range lacks {
		if _, asked := slices.BinarySearch(pages, n); !asked {
			return nil, array.Errorf(array.Invalid, "the copy lacks page %d, which it was not asked for", n)
		}
	}
	return slices.Compact(lacks), nil
}

// pages sends some, and returns when they are on the copy.
func (w *sender) pages(ctx context.Context, v VolumeID, part []int64) error {
	q := Request{Kind: Pages, Group: w.q.Group, Tag: w.q.Tag, Run: w.run, Volume: v, Done: w.done}
	buf := make([]byte, block.Page)
	for _, n := range part {
		if err := w.src.Read(ctx, v, n, buf); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		p := Page{Number: n, Zero: len(bytes.TrimLeft(buf, "\x00")) == 0}
		if q.Pages = append(q.Pages, p); !p.Zero {
			q.Data = append(q.Data, buf...)
		}
	}
	_, err := w.to.Ask(ctx, q)
	return err
}
