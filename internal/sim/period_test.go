// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/volume"
)

const (
	pointEvery = 600 * time.Millisecond
	sweepPages = volumes * 60
	breaks     = 48
)

// copier is what keeps a copy's pages apart; of a mutant it shows them as they come.
func (w *world) copier(p *process) group.Copier {
	if w.mutant == mixing {
		return mixer{p.pool}
	}
	if hangAbort {
		return hanger{p.pool}
	}
	return p.pool
}

type mixer struct{ *volume.Pool }

func (m mixer) PutPages(id array.GroupID, puts []volume.Put) error {
	if err := m.Pool.PutPages(id, puts); err != nil {
		return err
	}
	if err := m.FinishResync(id, m.Destaged(id)); err != nil {
		return err
	}
	return m.BeginResync(id)
}

// sweeper writes its counter to page after page of all volumes, round and round, each once
// the one before was answered. So at any moment of the order the pages up to some have one
// number, and the others the number before; whoever shows something else shows a mixture.
type sweeper struct {
	w             *world
	issued, acked int64
	out           chan error
	at            *process // where the write is
	stopping      bool
	// told is how many were sent and answered, by the time of day.
	told []progressAt
}

type progressAt struct {
	at            time.Time
	issued, acked int64
}

// place returns where write n goes.
func (sweeper) place(n int64) (v int, off int64) {
	k := (n - 1) % sweepPages
	return int(k % volumes), k / volumes * block.Page
}

func (s *sweeper) step() {
	s.told = append(s.told, progressAt{time.Now(), s.issued, s.acked})
	if s.out != nil {
		select {
		case err := <-s.out:
			if s.out = nil; err == nil && !s.at.dead.Load() { // else the answer never came
				s.acked = s.issued
			} else {
				s.issued = s.acked // written again: the same number to the same page
			}
		default:
			return
		}
	}
	p := s.w.m[0].p
	if p == nil || s.stopping {
		return
	}
	s.issued++
	v, off := s.place(s.issued)
	b, ok := p.buffers.Get(block.Page)
	if !ok {
		s.w.failf("no buffer is free")
	}
	for i := 0; i < block.Page; i += 8 {
		binary.LittleEndian.PutUint64(b.Bytes()[i:], uint64(s.issued))
	}
	out := make(chan error, 1)
	s.out, s.at = out, p
	op := &scsi.Op{ID: uint64(s.issued)<<8 | uint64(p.life), Arrived: time.Now(), Generation: p.units[v].Reservations().Revision, Nexus: reservation.Nexus{Initiator: "iqn.x:sweep,i,0x1", Port: 1}}
	p.units[v].Mutate(op, scsi.Mutation{Kind: scsi.Write, Offset: off, Length: block.Page, Data: b}, func(err error) { b.Release(); out <- err })
}

// shown returns up to which write a copy shows all, or fails if it is a mixture.
func (s *sweeper) shown(p *process, when string) int64 {
	s.w.t.Helper()
	var copies [volumes][]byte
	for v := range copies {
		copies[v] = make([]byte, sweepPages/volumes*block.Page)
		s.w.must(p.pool.Volume(array.VolumeID(v+1)).Read(copies[v], 0))
	}
	at := func(n int64) int64 {
		v, off := s.place(n)
		b := copies[v][off : off+block.Page]
		first := binary.LittleEndian.Uint64(b)
		if last := binary.LittleEndian.Uint64(b[block.Page-8:]); last != first {
			s.w.failf("%s: page of write %d is torn", when, n)
		}
		return int64(first)
	}
	newest := int64(0)
	for n := range int64(sweepPages) {
		newest = max(newest, at(n+1))
	}
	for n := range int64(sweepPages) { // the last that was written of each page
		want := int64(0)
		if k := newest - (newest-1-n%sweepPages+sweepPages)%sweepPages; newest > 0 && k > 0 {
			want = k
		}
		if got := at(n + 1); got != want {
			s.w.failf("%s: a mixture: the newest write is %d, and page %d holds write %d instead of %d", when, newest, n, got, want)
		}
	}
	return newest
}

// judge holds the copy of a side against the point that it says it stands at.
func (s *sweeper) judge(m *machine, when string) (at time.Time) {
	s.w.t.Helper()
	i, err := m.p.g.Info()
	s.w.must(err)
	newest := s.shown(m.p, when)
	if i.Period.At.IsZero() {
		if newest != 0 {
			s.w.failf("%s: the copy has no point, and shows write %d", when, newest)
		}
		return i.Period.At
	}
	low, high := int64(0), int64(-1)
	for k, x := range s.told {
		if !x.at.After(i.Period.At) {
			low = x.acked
		}
		if x.at.After(i.Period.At) {
			high = s.told[min(k, len(s.told)-1)].issued
			break
		}
	}
	if high < 0 {
		high = s.issued
	}
	if newest < low || newest > high {
		s.w.failf("%s: the point of %v shows all up to write %d; then %d were answered and %d sent", when, i.Period.At, newest, low, high)
	}
	return i.Period.At
}

// sweep lets time pass while writes go on.
func (s *sweeper) sweep(steps int) {
	for range steps {
		s.w.run(step)
		s.step()
	}
}

// untilPoint waits until a point is on its way.
func (s *sweeper) untilPoint() {
	s.w.t.Helper()
	for range 4000 {
		s.sweep(1)
		if s.w.m[0].p == nil {
			continue
		}
		i, err := s.w.m[0].p.g.Info()
		s.w.must(err)
		if i.Period.Sending {
			return
		}
	}
	s.w.failf("no point is sent")
}

func newPeriodic(t *testing.T, seed uint64, broken mutant) (*world, *sweeper) {
	w := newWorldOf(t, seed, broken, 256<<10, pointEvery)
	w.net.delay = time.Duration(5+seed%3*10) * time.Millisecond
	w.hosts = nil
	return w, &sweeper{w: w}
}

// playPeriods breaks something at each step of a period, one after the other, and looks at
// what the target shows all the while: always one point, and never an older one than before.
func playPeriods(t *testing.T, seed uint64, broken mutant, breaks int) {
	recordsPerStep = 12
	var why any
	defer func() {
		recordsPerStep = 0
		if why != nil {
			panic(why)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, seed, broken)
		defer func() {
			if why = recover(); why != nil {
				if _, ok := why.(found); !ok {
					panic(why)
				}
			}
			w.end()
		}()
		a, b := w.m[0], w.m[1]
		s.sweep(400)
		last := time.Time{}
		look := func(when string) {
			t.Helper()
			at := s.judge(b, when)
			if at.Before(last) {
				w.failf("%s: the target went back from %v to %v", when, last, at)
			}
			last = at
		}
		points := 0
		for n := range breaks {
			s.untilPoint()
			w.tracef("a point is on its way; something breaks %d steps later", n/4*3)
			for range n / 4 * 3 {
				s.sweep(1)
				look(fmt.Sprintf("break %d", n))
			}
			switch n % 4 {
			case 0:
				w.kill(b, n%8 == 0)
				s.sweep(3)
				w.boot(b)
			case 1:
				w.kill(a, true)
				s.sweep(3)
				w.boot(a)
			case 2:
				w.net.cut = [2]bool{true, true}
				s.sweep(int(4 * time.Second / step / 4))
				look("while cut off")
				w.net.cut = [2]bool{}
			case 3:
				w.mu.Lock()
				w.net.broke(0)
				w.mu.Unlock()
				w.each(func(p *process) { p.g.Lost() })
			}
			before := last
			look("after it")
			for k := 0; !last.After(before); k++ {
				s.sweep(10)
				if look("going on"); k > 400 {
					i, _ := a.p.g.Info()
					w.failf("no point comes any more after break %d: %+v", n, i.Period)
				}
			}
			points++
		}
		t.Logf("%d points after %d breaks; the last shows all up to write %d of %d", points, breaks, s.shown(b.p, "at the end"), s.acked)
	})
}

// TestPeriods: the target's state is exactly one point, never a mixture.
func TestPeriods(t *testing.T) {
	n := breaks
	if testing.Short() { // minutes under the race detector
		n = 12
	}
	playPeriods(t, 1, sound, n)
	playPeriods(t, 2, sound, n)
}

// TestMixturesAreCaught: what shows pages of two moments is found out.
func TestMixturesAreCaught(t *testing.T) {
	for m, name := range map[mutant]string{blurred: "pages as they are now", mixing: "pages as they come"} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Logf("caught: %v", r)
					return
				}
				t.Error("nothing was noticed")
			}()
			playPeriods(t, 1, m, breaks)
		})
	}
}

// TestPeriodFailover: the source is lost, a person forces the target, which goes on from
// the point that it says; the source serves nothing when it returns.
func TestPeriodFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 2, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		s.sweep(800)
		s.untilPoint()
		s.sweep(6)
		w.kill(a, true)
		s.stopping = true
		w.run(3 * time.Second)
		if i, _ := b.p.g.Info(); i.View.Role != arb.Out || i.Serving {
			t.Fatalf("the target became %v by itself", i.View.Role)
		}
		at := s.judge(b, "before the failover")
		shown := s.shown(b.p, "before the failover")
		w.must(b.p.g.Force(true))
		w.run(2 * time.Second)
		if i, _ := b.p.g.Info(); !i.Serving {
			t.Fatalf("forced, and not served: %v", i.Reason)
		}
		if got := s.shown(b.p, "after the failover"); got != shown {
			t.Errorf("the point of %v showed all up to write %d, after the failover %d", at, shown, got)
		}
		w.boot(a)
		for range 100 {
			w.run(20 * time.Millisecond)
			if i, _ := a.p.g.Info(); i.Serving && i.Contact {
				t.Fatal("the old source serves, and hears of the other")
			}
		}
		if i, _ := a.p.g.Info(); i.Serving || !i.Split {
			t.Errorf("the old source: serving %v, split %v, %v", i.Serving, i.Split, i.Reason)
		}
		w.kill(b, true)
		w.boot(b)
		w.run(2 * time.Second)
		if got := s.shown(b.p, "after a restart"); got != shown {
			t.Errorf("after a restart write %d, before %d", got, shown)
		}
	})
}
