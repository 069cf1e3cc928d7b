// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// The two copies are compared page by page while hosts go on writing. What a page is on
// disk depends on how far it was destaged, which the two arrays do each for itself. So
// two pages are only held against each other where both arrays have all up to a place
// on pages, and neither page was born after it: then both must be the same. Others are
// looked at again, after a flush of both. All that was written before the comparison
// began is compared: both put it on pages first, and an array that can't is no copy that
// was found to be alike.

// Verified is what a comparison found.
type Verified struct {
	// Done and Total count pages of the volumes, Pages those with content that were
	// compared.
	Done, Total, Pages int64
	// Repaired were bad on one array, Damaged are bad and could not be repaired,
	// Different are good on both and differ, Unsettled were written all the time.
	Repaired, Damaged, Different, Unsettled int64
}

const (
	// settleTries is how often a page that seems to differ is looked at, settleEvery how
	// long after each other; differsFor is how often it must differ.
	settleTries = 30
	settleEvery = 100 * time.Millisecond
	differsFor  = 3
	// sumsWithin is how long the other array may take to read the pages of one answer.
	sumsWithin = 10 * time.Second
	// maxQuestions bounds the questions of comparisons that wait for an answer.
	maxQuestions = 8
)

// Verify compares the copies and calls progress now and then. It reads at most rate
// bytes a second on each array; 0 is as fast as it goes.
func (g *Group) Verify(ctx context.Context, rate int64, progress func(Verified)) (Verified, error) {
	var v Verified
	var units []*Unit
	if err := g.ask(func() { units = g.allUnits() }); err != nil {
		return v, err
	}
	slices.SortFunc(units, func(a, b *Unit) int { return int(int64(a.id.Volume - b.id.Volume)) })
	for _, u := range units {
		v.Total += pagesOf(u)
	}
	if err := g.cfg.Pages.Flush(g.cfg.ID); err != nil {
		return v, fmt.Errorf("put what was written on pages: %w", err)
	}
	upTo := g.cfg.Pages.Destaged(g.cfg.ID)
	began, read, lost := time.Now(), int64(0), lostFor{}
	for _, u := range units {
		for from := int64(0); from < pagesOf(u); {
			now := v
			next, pages, err := g.compare(ctx, u, from, upTo, &now)
			if lost.passes(err, v.Done > 0) && sleep(ctx, settleEvery) == nil {
				continue
			}
			if err != nil {
				return v, fmt.Errorf("compare volume %s from page %d on: %w", u.id.Name, from, err)
			}
			v, lost = now, lostFor{}
			v.Done += next - from
			from = next
			progress(v)
			if read += pages * block.Page; rate > 0 {
				if err := sleep(ctx, time.Until(began.Add(time.Duration(float64(read)/float64(rate)*float64(time.Second))))); err != nil {
					return v, err
				}
			}
		}
	}
	return v, nil
}

// lostWithin is how long a comparison waits for the other array, which it could ask before: a
// connection that breaks beside others, or a change of the record, takes a moment.
const lostWithin = 20 * time.Second

// lostFor is since when the other array can't be asked.
type lostFor struct{ since time.Time }

// passes reports whether an error may be over in a while.
func (l *lostFor) passes(err error, before bool) bool {
	if !before || array.KindOf(err) != array.Unavailable {
		return false
	}
	if l.since.IsZero() {
		l.since = time.Now()
	}
	return time.Since(l.since) < lostWithin
}

func pagesOf(u *Unit) int64 { return (u.Size() + block.Page - 1) / block.Page }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compare compares one range, once both have all up to upTo on pages, and returns its end
// and how many pages were read.
func (g *Group) compare(ctx context.Context, u *Unit, from int64, upTo array.Place, v *Verified) (next, pages int64, err error) {
	var mine, theirs sums
	for try := 0; ; try++ {
		if mine, err = g.sums(u, from, pagesOf(u), upTo); err == nil {
			theirs, err = g.askSums(ctx, u, from, mine.next, upTo)
		}
		if err == nil {
			break
		}
		if array.KindOf(err) != array.Busy || try == settleTries {
			return 0, 0, err
		}
		if err := sleep(ctx, settleEvery); err != nil {
			return 0, 0, err
		}
	}
	next = theirs.next
	for _, n := range pagesIn(mine.list, theirs.list, next) {
		v.Pages++
		first := judge(mine.at(n), theirs.at(n), min(mine.destaged, theirs.destaged))
		if first == pageSame {
			continue
		}
		if err := g.settlePage(ctx, u, n, first, v); err != nil {
			return 0, 0, err
		}
	}
	return next, int64(max(len(mine.list), len(theirs.list))), nil
}

// pagesIn returns the pages below end that are in either list.
func pagesIn(a, b []sum, end int64) []int64 {
	var out []int64
	for _, l := range [][]sum{a, b} {
		for _, x := range l {
			if x.page < end {
				out = append(out, x.page)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// verdict on one page of both copies.
type verdict uint8

const (
	pageSame verdict = iota
	pageDiffers
	// pageMoving: one of both was born after the place up to which both have all.
	pageMoving
	pageBadHere
	pageBadThere
)

func judge(mine, theirs sum, upTo array.Place) verdict {
	switch {
	case mine.bad:
		return pageBadHere
	case theirs.bad:
		return pageBadThere
	case max(mine.birth, theirs.birth) > upTo:
		return pageMoving
	case mine.crc != theirs.crc:
		return pageDiffers
	}
	return pageSame
}

// settlePage looks at a page again and again until it is clear what it is. At the first
// look it was bad, it may be, and is healed by now.
func (g *Group) settlePage(ctx context.Context, u *Unit, n int64, first verdict, v *Verified) error {
	damaged, differs := first == pageBadHere || first == pageBadThere, 0
	var mine, theirs sums
	var upTo array.Place
	var err error
	for range settleTries {
		if array.KindOf(err) != array.Busy { // or an array still has to get as far as the last look asked for
			if err = g.cfg.Pages.Flush(g.cfg.ID); err == nil {
				upTo = g.cfg.Pages.Destaged(g.cfg.ID)
			}
		}
		if err == nil || array.KindOf(err) == array.Busy {
			mine, err = g.sums(u, n, n+1, upTo)
		}
		if err == nil {
			theirs, err = g.askSums(ctx, u, n, n+1, upTo)
		}
		if err != nil && array.KindOf(err) != array.Busy {
			return err
		}
		if err == nil {
			switch judge(mine.at(n), theirs.at(n), min(mine.destaged, theirs.destaged)) {
			case pageSame:
				if damaged {
					v.Repaired++
				}
				return nil
			case pageDiffers:
				if differs++; differs == differsFor {
					g.tellDifference(u, mine.at(n), theirs.at(n))
					v.Different++
					return nil
				}
			case pageBadHere:
				damaged = true
				_, _ = g.Mend(u.id.Volume, n) // what comes of it is seen in the next look
			case pageBadThere:
				damaged = true // it heals it, for it has met it
			}
		}
		if err := sleep(ctx, settleEvery); err != nil {
			return err
		}
	}
	switch {
	case damaged:
		v.Damaged++
	case err != nil:
		return err
	default:
		v.Unsettled++
	}
	return nil
}

// tellDifference leaves it to a person: which copy is right can't be known from the two.
func (g *Group) tellDifference(u *Unit, mine, theirs sum) {
	g.alarm(fmt.Sprintf("volume %s page %d differs between the arrays, though both have good checksums: on array %s it was last written at place %d and has checksum %08x, on array %s at place %d and %08x; a person must find out which copy is right",
		u.id.Name, mine.page, g.arrayName(g.cfg.Self), mine.birth, mine.crc, g.arrayName(g.cfg.Self.Other()), theirs.birth, theirs.crc))
}

// askSums asks the other array for what it has on pages.
func (g *Group) askSums(ctx context.Context, u *Unit, from, end int64, upTo array.Place) (sums, error) {
	ctx, cancel := context.WithTimeout(ctx, sumsWithin)
	defer cancel()
	type result struct {
		p   Packet
		err error
	}
	out := make(chan result, 1)
	id := nonce()
	p := Packet{Type: PacketWant, Volume: u.id.Volume, Offset: from, Length: askSums, Pos: array.Position{Place: array.Place(end)}, Commit: upTo}
	binary.BigEndian.PutUint64(p.Tag[:8], id)
	if !g.post(func() {
		if g.partner() != partnerReady || len(g.questions) >= maxQuestions {
			out <- result{err: array.Errorf(array.Unavailable, "the other array has no copy in sync that could be asked")}
			return
		}
		p.Epoch = g.view.Epoch
		g.questions[id] = func(p Packet, err error) { out <- result{p, err} }
		g.sends = append(g.sends, p)
	}) {
		return sums{}, array.Errorf(array.Conflict, "%s is closed", g.what())
	}
	select {
	case r := <-out:
		if r.err != nil {
			return sums{}, r.err
		}
		return decodeSums(r.p, from, end)
	case <-ctx.Done():
		g.post(func() { delete(g.questions, id) })
		return sums{}, &array.Error{Kind: array.Unavailable, Text: "the other array does not answer", Err: ctx.Err()}
	case <-g.done:
		return sums{}, array.Errorf(array.Conflict, "%s is closed", g.what())
	}
}

// takeSums passes an answer on; it reports whether it was one.
func (g *Group) takeSums(p Packet) bool {
	id := binary.BigEndian.Uint64(p.Tag[:8])
	q := g.questions[id]
	if q == nil || p.Epoch != g.view.Epoch {
		return false
	}
	delete(g.questions, id)
	q(p, nil)
	return true
}
