// SPDX-License-Identifier: Apache-2.0

package group

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/volume"
)

// Shadow is where pages of a newer state gather beside the kept one. *volume.Pool is one.
type Shadow interface {
	// FlushResync puts all of it on pages: turning to it can't fail for want of room then.
	FlushResync(g array.GroupID) error
	// BirthPut returns the birth of a page that came, 0 if it did not.
	BirthPut(v array.VolumeID, page int64) (array.Place, error)
	// Forsake removes the snapshots that were made after a place of the group's order, whose
	// places will be given anew.
	Forsake(g array.GroupID, after array.Place) error
}

// taking is a point on its way, at its target. Its pages go to the shadow, which outlives
// broken connections and restarts as long as the same point is sent.
type taking struct {
	tag      uint64
	place    array.Place
	puts     []volume.Put
	put      int64
	putting  bool
	asks     []Packet
	states   map[array.VolumeID][]byte
	end      *Packet
	turn     *turn // decided, and under way
	turnedAt time.Time
	busy     sync.Mutex // held while the pool is at work for it
}

// turn is the decision to stand at a point. Once it is stored the group's state is the
// point's; whatever is left to do is done, after a restart too. Not before: then it is the
// kept one. So the whole group, in all its CPGs, has one of both.
type turn struct {
	Tag      uint64                    `json:"tag"`
	Place    array.Place               `json:"place"`
	Time     int64                     `json:"time"`
	Segments []byte                    `json:"segments"`
	States   map[array.VolumeID][]byte `json:"states,omitempty"`
	Done     bool                      `json:"done"`
}

func (g *Group) takingPut() int64 {
	if g.taking == nil {
		return 0
	}
	return g.taking.put
}

// receivePoint takes a packet of a point.
func (g *Group) receivePoint(p Packet) {
	if p.Type == PacketPointAck {
		g.ackPoint(p)
		return
	}
	if p.Epoch != g.view.Epoch || g.view.Role != arb.Out || g.cfg.Shadow == nil || g.cfg.Copy == nil || g.dropping > 0 || g.failed != nil {
		return
	}
	t, tag := g.taking, binary.BigEndian.Uint64(p.Tag[:8])
	if p.Type == PacketPointBegin {
		g.beginTaking(p, tag)
		return
	}
	if t == nil || t.tag != tag || t.turn != nil || t.end != nil {
		return
	}
	switch p.Type {
	case PacketPointPage:
		if p.Commit > t.place {
			g.refusePoint(t, array.Errorf(array.Invalid, "page %d of volume %v was born at %d, after the point at %d", p.Offset, p.Volume, p.Commit, t.place))
			return
		}
		if len(t.puts) <= copyWindow {
			t.puts = append(t.puts, volume.Put{Volume: p.Volume, Page: p.Offset, Birth: p.Commit, Data: p.Body})
		}
	case PacketPointAsk:
		if len(t.asks) == 0 && len(p.Body)%16 == 0 && len(p.Body) <= 16*copyWindow {
			t.asks = append(t.asks, p)
		}
	case PacketPointState:
		if g.units[p.Volume] != nil && new(reservation.State).UnmarshalBinary(p.Body) == nil {
			t.states[p.Volume] = p.Body
		}
	case PacketPointEnd:
		t.end = &p
	}
	g.workTaking()
}

func (g *Group) ackTaking(tag uint64, what int64, f func(*Packet)) {
	k := Packet{Type: PacketPointAck, Epoch: g.view.Epoch, Offset: what}
	binary.BigEndian.PutUint64(k.Tag[:8], tag)
	if f != nil {
		f(&k)
	}
	g.sends = append(g.sends, k)
}

// beginTaking prepares for a point: with the pages of it that came before, or without any.
func (g *Group) beginTaking(p Packet, tag uint64) {
	switch old := g.taking; {
	case old != nil && old.turn != nil:
		return // the source asks again
	case g.turned.Done && g.turned.Tag == tag && g.stands():
		g.ackTaking(tag, pointTurned, nil)
		return
	case g.rebuild != nil:
		if err := g.leaveCopy(); err != nil {
			g.cfg.Logger.Warn("point not begun", "group", g.cfg.Name, "err", err)
		}
		return // the source asks again
	case p.Pos.Place <= g.core.Commit():
		g.ackTaking(tag, pointRefused, func(k *Packet) {
			k.Body = []byte(fmt.Sprintf("it stands at place %d, and the point is at %d", g.core.Commit(), p.Pos.Place))
		})
		return
	}
	if !g.shadowed {
		g.core.Told(p.Epoch, p.Commit)
		g.apply()
	}
	t, old := &taking{tag: tag, place: p.Pos.Place, putting: true, states: map[array.VolumeID][]byte{}}, g.putter
	g.taking, g.putter, g.shadowed = t, t, true
	goesOn := false
	g.offTaking(t, func() error {
		if old != nil {
			old.busy.Lock() // what is being put is put first
			defer old.busy.Unlock()
		}
		var of uint64
		if err := g.fact(factShadow, &of); err != nil {
			return err
		}
		goesOn = of == tag && g.cfg.Copy.Resyncing(g.cfg.ID)
		if !goesOn && g.cfg.Copy.Resyncing(g.cfg.ID) {
			if err := g.cfg.Copy.AbortResync(g.cfg.ID); err != nil {
				return err
			}
		}
		if err := g.keepFact(factShadow, tag); err != nil {
			return err
		}
		return g.cfg.Copy.BeginResync(g.cfg.ID) // in a CPG that has not begun, if a restart came between
	}, func() {
		g.ackTaking(tag, pointReady, func(k *Packet) {
			k.Held = g.cfg.Pages.Destaged(g.cfg.ID)
			if goesOn {
				k.Length = 1
			}
		})
	})
}

// offTaking does work that waits for the disk outside the loop, then goes on in it. What
// fails is refused: the kept state goes on, and the pages that came stay.
func (g *Group) offTaking(t *taking, work func() error, then func()) {
	t.putting = true
	t.busy.Lock() // here, so that whoever gives it up comes after
	go func() {
		err := work()
		t.busy.Unlock()
		g.post(func() {
			t.putting = false
			if g.taking != t {
				return
			}
			if err != nil {
				g.refusePoint(t, err)
				return
			}
			then()
			g.workTaking()
		})
	}()
}

// refusePoint: not now. The source tries again.
func (g *Group) refusePoint(t *taking, err error) {
	g.cfg.Logger.Warn("point refused", "group", g.cfg.Name, "err", err)
	g.taking = nil
	if g.contact {
		g.ackTaking(t.tag, pointRefused, func(k *Packet) { k.Body = []byte(err.Error()) })
	}
}

// workTaking does the next thing for a point, one at a time.
func (g *Group) workTaking() {
	t := g.taking
	switch {
	case t == nil || t.putting || t.turn != nil:
	case len(t.puts) > 0:
		puts := t.puts
		t.puts = nil
		g.offTaking(t, func() error { return g.cfg.Copy.PutPages(g.cfg.ID, puts) }, func() {
			t.put += int64(len(puts))
			g.ackTaking(t.tag, pointWritten, func(k *Packet) { k.Length = t.put })
		})
	case len(t.asks) > 0:
		ask := t.asks[0]
		t.asks = nil
		var lacks []byte
		g.offTaking(t, func() (err error) { lacks, err = g.lacks(ask); return err }, func() {
			g.ackTaking(t.tag, pointLacks, func(k *Packet) { k.Body = lacks })
		})
	case t.end != nil:
		g.decideTurn(t)
	}
}

// lacks says which of the pages that a packet names are not here with that birth.
func (g *Group) lacks(ask Packet) ([]byte, error) {
	out := make([]byte, len(ask.Body)/16)
	for i := range out {
		page, birth := int64(binary.BigEndian.Uint64(ask.Body[16*i:])), array.Place(binary.BigEndian.Uint64(ask.Body[16*i+8:]))
		have, err := g.cfg.Shadow.BirthPut(ask.Volume, page)
		if err != nil {
			return nil, err
		}
		if have != birth {
			out[i] = 1
		}
	}
	return out, nil
}

// leaveTaking stops taking a point in a contact that is over. What came stays; what is
// decided is done.
func (g *Group) leaveTaking() {
	if t := g.taking; t != nil && t.turn == nil {
		g.taking = nil
	}
}

// dropTaking gives up what came of a point: the kept state goes on, and nothing is applied
// until the pages are out of its way.
func (g *Group) dropTaking() {
	old := g.putter // also one that was left with its contact, and is at work: it may begin a shadow
	g.taking = nil
	g.dropping++
	go func() {
		if old != nil {
			old.busy.Lock() // what is being put is put first
			defer old.busy.Unlock()
		}
		var err error
		if g.cfg.Copy.Resyncing(g.cfg.ID) {
			err = g.cfg.Copy.AbortResync(g.cfg.ID)
		}
		if err == nil {
			err = g.keepFact(factShadow, uint64(0))
		}
		g.post(func() {
			g.dropping--
			g.shadowed = false
			if err != nil {
				g.fail(fmt.Errorf("give up an unfinished point: %w", err))
			}
		})
	}()
}

// dropForeign: a group that is not periodic any more takes no points.
func (g *Group) dropForeign() {
	if g.shadowed && !g.periodic() && g.taking == nil && g.dropping == 0 {
		g.dropTaking()
	}
}

// leavesPoint: a record of the order came, so the group is filled as a member to be. It
// reports whether it can be taken: not while the pages turn.
func (g *Group) leavesPoint() bool {
	if g.taking != nil && g.taking.turn != nil {
		return false
	}
	if g.dropping == 0 {
		g.dropTaking()
	}
	return true
}
