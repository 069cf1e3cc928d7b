// SPDX-License-Identifier: Apache-2.0

package group

import (
	"errors"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// What a PacketWant asks for, in Length.
const (
	// askStored: the page as it is on disk, with the birth in Pos or a later one.
	askStored = iota
	// askThrough: the page as hosts see it, with all up to Commit.
	askThrough
	// askSums: births and checksums of the pages from Offset to Pos.Place, and all up to
	// Commit on pages.
	askSums
)

// What a PacketMend answers, in Length.
const (
	mendPage = iota + 1
	// mendBad: the page is bad here too.
	mendBad
	// mendNotYet: this array does not have it yet, or can't say.
	mendNotYet
	// mendSums: an answer to askSums.
	mendSums
	// mendHides: it can't say what it has on pages, for a copy hides it. An older array takes
	// it for mendNotYet.
	mendHides
)

// maxMends bounds the other array's questions that this one works on.
const maxMends = 32

// serveWant answers the other array.
func (g *Group) serveWant(p Packet) {
	u := g.units[p.Volume]
	role := g.view.Role
	able := p.Epoch == g.view.Epoch && (role == arb.Paired || role == arb.Alone) && g.core.Met() && g.failed == nil &&
		g.rebuild == nil && g.dropping == 0 && g.mends < maxMends && u != nil && p.Offset >= 0 && p.Offset <= (u.Size()-1)/block.Page
	answer := func(a Packet) {
		a.Type, a.Epoch, a.Volume, a.Offset, a.Tag = PacketMend, g.view.Epoch, p.Volume, p.Offset, p.Tag
		g.sends = append(g.sends, a)
	}
	if !able || p.Length == askThrough && g.applied < p.Commit {
		answer(Packet{Length: mendNotYet})
		return
	}
	g.mends++
	epoch := g.view.Epoch
	go func() {
		a := g.mend(u, p)
		g.post(func() {
			g.mends--
			if g.fresh(p) && g.view.Epoch == epoch {
				answer(a)
			}
		})
	}()
}

func (g *Group) mend(u *Unit, p Packet) Packet {
	switch p.Length {
	case askStored:
		return g.mendStored(u, p.Offset, p.Pos.Place)
	case askThrough:
		b := make([]byte, block.Page)
		birth, err := u.disk.ReadPage(p.Offset, b)
		return mended(birth, b, err)
	case askSums:
		return g.sumsAnswer(u, p)
	}
	return Packet{Length: mendNotYet}
}

// mendStored returns a page from disk. One that was born before what is wanted is put
// there first with all that was applied since; and a page is only sure to be what its
// birth says once all up to that is on pages.
func (g *Group) mendStored(u *Unit, page int64, want array.Place) Packet {
	b := make([]byte, block.Page)
	birth, err := u.disk.Stored(page, b)
	if err == nil && (birth < want || birth > g.cfg.Pages.Destaged(g.cfg.ID)) {
		if err = g.cfg.Pages.Flush(g.cfg.ID); err == nil {
			birth, err = u.disk.Stored(page, b)
		}
	}
	if err == nil && (birth == 0 || birth < want || birth > g.cfg.Pages.Destaged(g.cfg.ID)) {
		return Packet{Length: mendNotYet}
	}
	return mended(birth, b, err)
}

func mended(birth array.Place, page []byte, err error) Packet {
	switch {
	case errors.As(err, new(*volume.Bad)):
		return Packet{Length: mendBad}
	case err != nil:
		return Packet{Length: mendNotYet}
	}
	return Packet{Length: mendPage, Pos: array.Position{Place: birth}, Body: page, Commit: array.Place(block.Checksum(page))}
}
