// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// maxSums is how many pages are read for one answer: 1 MiB.
const maxSums = 64

// sum is what a page is on disk.
type sum struct {
	page  int64
	birth array.Place
	crc   uint32
	bad   bool
}

// sums are the pages of a range that have content, up to next. All of the group up to
// destaged was on pages before they were looked at.
type sums struct {
	list     []sum
	next     int64
	destaged array.Place
}

// errHides: what was applied since the copy began is not what hosts would read here.
var errHides = &array.Error{Kind: array.Busy, Text: "it hides what it applied behind an unfinished copy"}

// sums looks at pages from from to end, once all up to upTo is on pages.
func (g *Group) sums(u *Unit, from, end int64, upTo array.Place) (s sums, err error) {
	if g.cfg.Copy != nil && g.cfg.Copy.Resyncing(g.cfg.ID) {
		return s, fmt.Errorf("array %s can't say what it has on pages: %w", g.arrayName(g.cfg.Self), errHides)
	}
	if g.cfg.Pages.Destaged(g.cfg.ID) < upTo {
		if err := g.cfg.Pages.Flush(g.cfg.ID); err != nil {
			return s, err
		}
	}
	if s.destaged = g.cfg.Pages.Destaged(g.cfg.ID); s.destaged < upTo {
		return s, array.Errorf(array.Busy, "only what was written up to place %d is on pages", s.destaged)
	}
	pages, next, err := u.disk.Mapped(from, end, maxSums)
	if err != nil {
		return s, err
	}
	s.next = next
	b := make([]byte, block.Page)
	for _, n := range pages {
		birth, err := u.disk.Stored(n, b)
		x := sum{page: n, birth: birth, crc: volume.PageSum(b)}
		if x.bad = errors.As(err, new(*volume.Bad)); err != nil && !x.bad {
			return s, err
		}
		s.list = append(s.list, x)
	}
	return s, nil
}

// sumsAnswer answers the other array. Pages that are found to be bad are healed.
func (g *Group) sumsAnswer(u *Unit, p Packet) Packet {
	from, end := p.Offset, int64(p.Pos.Place)
	if end <= from {
		return Packet{Length: mendNotYet}
	}
	s, err := g.sums(u, from, end, p.Commit)
	switch {
	case errors.Is(err, errHides):
		return Packet{Length: mendHides}
	case err != nil:
		return Packet{Length: mendNotYet}
	}
	for _, x := range s.list {
		if x.bad {
			g.Damaged(p.Volume, x.page)
		}
	}
	b := s.encode()
	return Packet{Length: mendSums, Pos: array.Position{Place: array.Place(s.next)}, Held: s.destaged, Body: b, Commit: array.Place(block.Checksum(b))}
}

const sumSize = 8 + 8 + 4 + 1

func (s *sums) encode() []byte {
	b := make([]byte, 0, len(s.list)*sumSize)
	for _, x := range s.list {
		b = binary.BigEndian.AppendUint64(b, uint64(x.page))
		b = binary.BigEndian.AppendUint64(b, uint64(x.birth))
		b = binary.BigEndian.AppendUint32(b, x.crc)
		bad := byte(0)
		if x.bad {
			bad = 1
		}
		b = append(b, bad)
	}
	return b
}

// decodeSums refuses what is no answer about pages from from to end.
func decodeSums(p Packet, from, end int64) (sums, error) {
	s := sums{next: int64(p.Pos.Place), destaged: p.Held}
	refuse := func(what string) (sums, error) {
		return sums{}, array.Errorf(array.Invalid, "the other array's checksums of pages %d to %d can't be read: %s", from, end, what)
	}
	switch {
	case p.Length == mendHides:
		return s, fmt.Errorf("the other array can't say what it has on pages: %w", errHides)
	case p.Length != mendSums:
		return s, array.Errorf(array.Busy, "the other array can't say what it has on pages, or has not got as far")
	case block.Checksum(p.Body) != uint32(p.Commit):
		return refuse("they are damaged")
	case len(p.Body)%sumSize != 0 || len(p.Body)/sumSize > maxSums:
		return refuse(fmt.Sprintf("%d bytes", len(p.Body)))
	case s.next <= from || s.next > end:
		return refuse(fmt.Sprintf("they end at %d", s.next))
	}
	at := from
	for b := p.Body; len(b) > 0; b = b[sumSize:] {
		x := sum{page: int64(binary.BigEndian.Uint64(b)), birth: array.Place(binary.BigEndian.Uint64(b[8:])), crc: binary.BigEndian.Uint32(b[16:]), bad: b[20] != 0}
		if x.page < at || x.page >= s.next {
			return refuse(fmt.Sprintf("page %d", x.page))
		}
		at = x.page + 1
		s.list = append(s.list, x)
	}
	return s, nil
}

// at returns what a page is; one that isn't in the list reads as zeros.
func (s *sums) at(page int64) sum {
	for _, x := range s.list {
		if x.page == page {
			return x
		}
	}
	return sum{page: page, crc: volume.PageSum(make([]byte, block.Page))}
}
