// SPDX-License-Identifier: Apache-2.0

package group

import (
	"testing"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// compareAndWrite is a command of 512 bytes at off that wants old and stores next.
func compareAndWrite(t *testing.T, u *Unit, n reservation.Nexus, off int64, old, next byte) *work {
	t.Helper()
	pool := block.NewPool(1 << 20)
	fill := func(x byte) *block.Buffer {
		b, ok := pool.Get(512)
		if !ok {
			t.Fatal("no buffer")
		}
		for i := range b.Bytes() {
			b.Bytes()[i] = x
		}
		return b
	}
	return &work{
		unit: u, op: &scsi.Op{ID: 5, Nexus: n},
		m: scsi.Mutation{Kind: scsi.CompareAndWrite, Offset: off, Length: 512, Compare: fill(old), Data: fill(next)},
	}
}

func TestRepeatedCompareAndWrite(t *testing.T) {
	host := reservation.Nexus{Initiator: "iqn.x:h,i,0x1", Port: 1}
	otherPath := reservation.Nexus{Initiator: "iqn.x:h,i,0x2", Port: 257}
	stranger := reservation.Nexus{Initiator: "iqn.x:g,i,0x1", Port: 1}
	at := array.Position{Epoch: 2, Term: 3, Place: 10}
	data := array.Position{Epoch: 2, Term: 3, Place: 11}
	members := arb.View{Members: array.Both}
	gone := arb.View{Members: array.Only(array.SideB)}
	for name, c := range map[string]struct {
		view   arb.View
		owner  array.Side // who had the first
		before func(g *Group, u *Unit)
		by     reservation.Nexus
		off    int64
		old    byte
		good   bool
	}{
		"the array that had it is gone": {view: gone, by: host, good: true},
		"by another path of the host":   {view: gone, by: otherPath, good: true},
		"its answer may still come":     {view: members, by: host},
		"by another host":               {view: gone, by: stranger},
		"elsewhere":                     {view: gone, by: host, off: 512},
		"other data":                    {view: gone, by: host, old: 9},
		"its session ended here":        {view: members, owner: array.SideB, by: otherPath, good: true, before: func(_ *Group, u *Unit) { u.Ended(host) }},
		"another session ended":         {view: members, owner: array.SideB, by: host, before: func(_ *Group, u *Unit) { u.Ended(otherPath) }},
		"its session ended before it was applied": {
			view: members, owner: array.SideB, by: host, good: true,
			before: func(g *Group, u *Unit) {
				t := g.repeatsOf(1)
				first := t.list[0]
				t.list = nil
				t.asking[11] = asking{op: 5, nexus: host}
				u.Ended(host)
				g.drain()
				t.keep(first, at, array.SideB, array.SideB, g.cfg.Now())
			},
		},
		"the array that had it was restarted": {
			view: members, owner: array.SideB, by: host, good: true,
			before: func(g *Group, _ *Unit) {
				t := g.repeatsOf(1)
				first := t.list[0]
				t.list = nil
				t.keep(first, at, array.SideB, array.SideB, g.cfg.Now()) // as read from the journal
			},
		},
		"the other array had it and was restarted": {
			view: members, by: host, good: true, before: func(g *Group, _ *Unit) { g.PeerRestarted() },
		},
		"this array had it, and the other was restarted": {
			view: members, owner: array.SideB, by: host, before: func(g *Group, _ *Unit) { g.PeerRestarted() },
		},
		"its session ended there":   {view: members, by: host, good: true, before: func(g *Group, _ *Unit) { g.repeatNews(Packet{Volume: 1, Pos: data, Offset: repeatLost}) }},
		"it was acknowledged there": {view: gone, by: host, before: func(g *Group, _ *Unit) { g.repeatNews(Packet{Volume: 1, Pos: data, Offset: repeatOver}) }},
		"it was acknowledged here": {
			view: members, owner: array.SideB, by: host,
			before: func(_ *Group, u *Unit) { u.Acknowledged(host, 5); u.Ended(host) },
		},
		"another write touched it": {view: gone, by: host, before: func(g *Group, _ *Unit) {
			g.repeatsOf(1).touched(journal.Record{Pos: array.Position{Epoch: 2, Term: 3, Place: 12}, Offset: 256, Length: 512})
		}},
		"another write beside it": {view: gone, by: host, good: true, before: func(g *Group, _ *Unit) {
			g.repeatsOf(1).touched(journal.Record{Pos: array.Position{Epoch: 2, Term: 3, Place: 12}, Offset: 512, Length: 512})
		}},
		"its data were cut off": {view: gone, by: host, before: func(g *Group, _ *Unit) {
			g.repeatsOf(1).touched(journal.Record{Pos: array.Position{Epoch: 3, Term: 4, Place: 11}, Offset: 4096, Length: 512})
		}},
		"too late": {view: gone, by: host, before: func(g *Group, _ *Unit) {
			now := g.cfg.Now().Add(repeatFor + time.Second)
			g.cfg.Now = func() time.Time { return now }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			g := &Group{cfg: Config{Self: array.SideB, Now: func() time.Time { return now }}, view: c.view, repeats: map[array.VolumeID]*repeats{}}
			u := &Unit{g: g, id: scsi.Identity{Volume: 1}}
			first := compareAndWrite(t, u, host, 0, 1, 2)
			list := g.repeatsOf(1)
			list.asking[11] = asking{op: 5, nexus: host}
			list.keep(*first.noteOfRepeat().Repeat, at, c.owner, array.SideB, now)
			list.touched(journal.Record{Pos: data, Offset: 0, Length: 512}) // its own
			if c.before != nil {
				c.before(g, u)
			}
			g.drain()
			again := compareAndWrite(t, u, c.by, c.off, 1+c.old, 2)
			if got := g.isRepeat(again); got != c.good {
				t.Errorf("taken for a repeat: %v, want %v", got, c.good)
			}
			if g.isRepeat(again) {
				t.Error("taken for a repeat twice")
			}
		})
	}
}

// drain runs what was posted, in place of the loop.
func (g *Group) drain() {
	batch, _ := g.in.take()
	for i := range batch {
		g.take(&batch[i])
	}
	g.in.through(batch)
}
