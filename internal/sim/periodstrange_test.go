// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
)

// TestStrangePoints: whatever one array says of points, with the right tag or any, the other
// lives on, shows a point, and takes the next one.
func TestStrangePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 1, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		s.sweep(400)
		s.judge(b, "before")
		i, err := b.p.g.Info()
		w.must(err)
		types := []group.PacketType{
			group.PacketPointPage, group.PacketPointAsk, group.PacketPointState,
			group.PacketPointAck, group.PacketPointEnd, group.PacketPointBegin, group.PacketPointPage, group.PacketPointEnd,
		}
		for round := range 40 {
			s.untilPoint()
			s.sweep(round % 8)
			var tag atomic.Uint64 // of the point that is on its way
			spy := func(pk group.Packet) {
				if pk.Type >= group.PacketPointBegin {
					tag.Store(binary.BigEndian.Uint64(pk.Tag[:8]))
				}
			}
			w.spy.Store(&spy)
			s.sweep(2)
			w.spy.Store(nil)
			for _, p := range []*process{a.p, b.p} {
				for range 20 {
					r := w.rng
					k := group.Packet{
						Type: types[r.IntN(len(types))], Epoch: i.View.Epoch, Volume: array.VolumeID(r.IntN(4)), Body: make([]byte, []int{0, 1, 16, 25, 4096, block.Page}[r.IntN(6)]),
						Offset: []int64{0, 1, 2, 3, 4, 5, 1 << 50, 1<<63 - 1}[r.IntN(8)], Length: []int64{0, 1, 7, 1 << 40}[r.IntN(4)],
						Pos: array.Position{Place: array.Place(r.Uint64())}, Commit: array.Place(r.Uint64() >> r.IntN(64)), Held: array.Place(r.Uint64() >> r.IntN(64)),
					}
					if binary.BigEndian.PutUint64(k.Tag[:8], tag.Load()); r.IntN(3) == 0 {
						binary.BigEndian.PutUint64(k.Tag[:8], r.Uint64())
					}
					binary.BigEndian.PutUint64(k.Tag[8:], p.number.Load())
					p.g.Receive(k)
				}
			}
			s.sweep(5)
			s.shown(a.p, "the source") // it serves on
		}
		for _, m := range w.m { // a new contact, and all is as ever
			w.kill(m, true)
			w.boot(m)
		}
		last := s.judgeLater(b)
		s.sweep(2000)
		if at := s.judge(b, "after it"); !at.After(last) {
			i, _ := a.p.g.Info()
			t.Fatalf("no point comes any more: %+v", i.Period)
		}
	})
}

// judgeLater is the time of the newest point, whatever it shows.
func (s *sweeper) judgeLater(m *machine) (at time.Time) {
	i, err := m.p.g.Info()
	s.w.must(err)
	return i.Period.At
}
