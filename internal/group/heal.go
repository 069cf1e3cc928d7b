// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/volume"
)

// A page that this array's disk does not return as it was written is healed: the other
// array is asked for the page with the birth that this one's map has, or a later one,
// and what it sends is put in the place of the damage. Content is named by its birth:
// both copies are prefixes of one log, so a page with all of its records up to a place
// is the same on both. What is in the overlays plays no part in it.
//
// Where that can't be done, the page is read through the other array: as of all that is
// committed here. Where that can't be done either, this array stands aside.

const (
	// maxHeals bounds the pages that are healed at once, maxHealers who waits for one.
	maxHeals   = 64
	maxHealers = 1024
	// healFor is how long the other array is asked for a page's content, throughFor how
	// long for the page as hosts see it, before it is given up.
	healFor    = 1500 * time.Millisecond
	throughFor = 500 * time.Millisecond
	// healAgain is how long an answer is waited for, and between two attempts.
	healAgain = 100 * time.Millisecond
)

// damage names a page.
type damage struct {
	volume array.VolumeID
	page   int64
}

// heal is one page under repair.
type heal struct {
	damage
	unit    *Unit
	began   time.Time
	waiters []func(page []byte, err error)
	// question is out since asked; 0: none. busy: the own disk is at work for it.
	question uint64
	asked    time.Time
	busy     bool
	through  time.Time // since when it is to be read through the other array
	sent     bool      // that question was sent: who comes now must ask again
	why      error     // what stood in the way last
}

// errAgain: what this waiter needs was asked for before it came.
var errAgain = array.Errorf(array.Busy, "a page is being read through the other array")

// Mend heals a page of a volume. It waits until it is as it was written and returns nil,
// or, if it could not be repaired, the page as hosts see it, read through the other
// array. An error of kind Busy asks to try again, one of kind Medium is final.
func (g *Group) Mend(v array.VolumeID, page int64) ([]byte, error) {
	type result struct {
		page []byte
		err  error
	}
	out := make(chan result, 1)
	closed := array.Errorf(array.Busy, "%s is closing", g.what())
	if !g.post(func() { g.startHeal(v, page, func(b []byte, err error) { out <- result{b, err} }) }) {
		return nil, closed
	}
	select {
	case r := <-out:
		return r.page, r.err
	case <-g.done:
		return nil, closed
	}
}

// Damaged lets a page be healed for which nobody waits: a destage met it, and must not
// wait. What can't be healed now is met again by whoever reads it.
func (g *Group) Damaged(v array.VolumeID, page int64) {
	g.post(func() { g.startHeal(v, page, func([]byte, error) {}) })
}

func (g *Group) startHeal(v array.VolumeID, page int64, done func([]byte, error)) {
	key := damage{v, page}
	h, u := g.heals[key], g.units[v]
	switch {
	case u == nil:
		done(nil, array.Errorf(array.NotFound, "volume %v is not in %s", v, g.what()))
		return
	case h != nil && (h.sent || len(h.waiters) >= maxHealers):
		done(nil, errAgain)
		return
	case h != nil:
		h.waiters = append(h.waiters, done)
		return
	case len(g.heals) >= maxHeals:
		done(nil, array.Errorf(array.Busy, "%s: %d damaged pages are being repaired already", g.what(), len(g.heals)))
		return
	}
	h = &heal{damage: key, unit: u, began: g.cfg.Now(), waiters: []func([]byte, error){done}}
	g.heals[key] = h
	g.stepHeal(h)
}

// partner says whether the other array may have the content of this array's pages: its
// log was compared with this one's, and is not behind by more than what is under way.
type partner uint8

const (
	partnerNone  partner = iota // it has not, or can't be asked for long
	partnerSoon                 // it may have: it is about to be known
	partnerReady                // it can be asked
)

func (g *Group) partner() partner {
	if g.cfg.Peer == nil || g.failed != nil {
		return partnerNone
	}
	switch g.view.Role {
	case arb.Paired, arb.Out:
		switch {
		case g.contact && g.core.Met() && g.rebuild == nil && g.dropping == 0:
			return partnerReady
		case g.view.Role == arb.Paired:
			return partnerSoon
		}
	case arb.Held:
		return partnerSoon
	}
	return partnerNone
}

// stepHeal looks at the page and asks the other array for it.
func (g *Group) stepHeal(h *heal) {
	if h.busy || h.question != 0 {
		return
	}
	switch g.partner() {
	case partnerNone:
		g.endHeal(h, nil, &array.Error{Kind: array.Medium, Text: "the other array has no copy in sync that could be asked", Err: h.why})
		return
	case partnerSoon:
		h.why = array.Errorf(array.Unavailable, "the other array can't be asked")
		return
	}
	if !h.through.IsZero() {
		g.askPage(h, 0, askThrough)
		return
	}
	h.busy = true
	go func() {
		birth, err := h.unit.disk.Stored(h.page, make([]byte, block.Page))
		g.post(func() {
			h.busy = false
			switch {
			case g.heals[h.damage] != h:
			case err == nil || !errors.As(err, new(*volume.Bad)):
				g.endHeal(h, nil, err)
			case g.partner() == partnerReady:
				g.askPage(h, birth, askStored)
			}
		})
	}()
}

// askPage sends the question. Commit is what is applied here: whatever comes as hosts
// see it must have all of that.
func (g *Group) askPage(h *heal, birth array.Place, what int64) {
	h.question, h.asked = nonce(), g.cfg.Now()
	h.sent = what == askThrough
	p := Packet{Type: PacketWant, Epoch: g.view.Epoch, Volume: h.volume, Offset: h.page, Length: what, Pos: array.Position{Place: birth}, Commit: g.applied}
	binary.BigEndian.PutUint64(p.Tag[:8], h.question)
	g.sends = append(g.sends, p)
}

// takeMend takes the other array's answer.
func (g *Group) takeMend(p Packet) {
	h := g.heals[damage{p.Volume, p.Offset}]
	if h == nil || h.question == 0 || h.question != binary.BigEndian.Uint64(p.Tag[:8]) || p.Epoch != g.view.Epoch {
		return
	}
	h.question = 0
	switch {
	case p.Length == mendBad:
		g.endHeal(h, nil, array.Errorf(array.Medium, "it is damaged on both arrays"))
	case p.Length != mendPage:
		h.why = array.Errorf(array.Busy, "the other array does not have the content yet")
	case len(p.Body) != block.Page || block.Checksum(p.Body) != uint32(p.Commit):
		h.why = array.Errorf(array.Invalid, "the other array's answer is no page")
	case !h.through.IsZero():
		g.cfg.Logger.Warn("page read through the other array", "group", g.cfg.Name, "volume", h.unit.id.Name, "page", h.page, "err", h.why)
		g.endHeal(h, p.Body, nil)
	default:
		g.putMend(h, p.Pos.Place, p.Body)
	}
}

// putMend puts content in the place of the damage.
func (g *Group) putMend(h *heal, birth array.Place, page []byte) {
	h.busy = true
	go func() {
		repaired, err := h.unit.disk.Repair(h.page, birth, page)
		g.post(func() {
			h.busy = false
			switch {
			case g.heals[h.damage] != h:
			case err == nil:
				if repaired {
					g.event(fmt.Sprintf("volume %s page %d was damaged on array %s and was repaired from array %s", h.unit.id.Name, h.page, g.arrayName(g.cfg.Self), g.arrayName(g.cfg.Self.Other())))
				}
				g.endHeal(h, nil, nil)
			case array.KindOf(err) == array.Busy:
				h.why = err // the births differ at this moment
			case h.through.IsZero():
				h.why, h.through = err, g.cfg.Now()
				g.stepHeal(h)
			}
		})
	}()
}

// checkHeals asks again, and gives up what takes too long.
func (g *Group) checkHeals(now time.Time) {
	for _, h := range g.heals {
		if h.question != 0 && now.Sub(h.asked) > healAgain {
			h.question = 0
		}
		switch {
		case h.busy:
		case h.through.IsZero() && now.Sub(h.began) > healFor:
			h.through, h.question = now, 0
			g.stepHeal(h)
		case !h.through.IsZero() && now.Sub(h.through) > throughFor:
			g.giveUpHeal(h)
		default:
			g.stepHeal(h)
		}
	}
}

// giveUpHeal: the page can be had in no way. Beside a partner in sync this array is the
// one that lacks something, and stands aside.
func (g *Group) giveUpHeal(h *heal) {
	if g.partner() == partnerSoon {
		g.endHeal(h, nil, &array.Error{Kind: array.Busy, Text: fmt.Sprintf("page %d of volume %s is to be repaired", h.page, h.unit.id.Name), Err: h.why})
		return
	}
	err := &array.Error{Kind: array.Medium, Text: "neither could it be repaired nor read through the other array", Err: h.why}
	// The one chosen in advance stays: nobody could go on without it.
	aside := g.view.Role == arb.Paired && g.partner() == partnerReady && !g.aside.on && !g.m.Stored().Current.DecidedBy(g.cfg.Self)
	if aside {
		g.shut() // before a reader is told, which would find the gate as it was, and tell its host
	}
	g.endHeal(h, nil, err)
	if aside {
		g.standAside(h, err)
	}
}

func (g *Group) endHeal(h *heal, page []byte, err error) {
	delete(g.heals, h.damage)
	g.tellDamage(h, err)
	for _, f := range h.waiters {
		f(page, err)
	}
	h.waiters = nil
}

// maxTold bounds the damaged pages that are remembered as told.
const maxTold = 256

// tellDamage tells once of a page that stays damaged.
func (g *Group) tellDamage(h *heal, err error) {
	switch {
	case err == nil:
		delete(g.damaged, h.damage)
		if g.cfg.Unrepaired != nil {
			g.cfg.Unrepaired(h.volume, h.page, "")
		}
	case array.KindOf(err) == array.Medium && !g.damaged[h.damage] && len(g.damaged) < maxTold:
		g.damaged[h.damage] = true
		text := fmt.Sprintf("volume %s page %d is damaged on array %s and could not be repaired: %v", h.unit.id.Name, h.page, g.arrayName(g.cfg.Self), err)
		if g.cfg.Unrepaired == nil {
			g.alarm(text)
			return
		}
		g.cfg.Unrepaired(h.volume, h.page, g.what()+": "+text)
	}
}

// dropQuestions: in a new contact no answer to an old question comes.
func (g *Group) dropQuestions() {
	for _, h := range g.heals {
		h.question = 0
	}
	for id, q := range g.questions {
		delete(g.questions, id)
		q(Packet{}, array.Errorf(array.Unavailable, "the other array was lost"))
	}
}

func (g *Group) endHeals() {
	for _, h := range g.heals {
		g.endHeal(h, nil, array.Errorf(array.Busy, "%s is closing", g.what()))
	}
}

func (g *Group) arrayName(s array.Side) string {
	if n := g.cfg.Arrays[s&1]; n != "" {
		return n
	}
	return s.String()
}
