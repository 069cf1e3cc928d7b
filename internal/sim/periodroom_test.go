// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
)

// sentPages counts the pages of points that the source sends from now on.
func (w *world) sentPages() *atomic.Int64 {
	n := new(atomic.Int64)
	spy := func(pk group.Packet) {
		if pk.Type == group.PacketPointPage {
			n.Add(1)
		}
	}
	w.spy.Store(&spy)
	return n
}

// TestPeriodToAFullTarget: a target without room keeps its point, and so does the source its
// hosts; when there is room, pages that came are not sent again.
func TestPeriodToAFullTarget(t *testing.T) {
	recordsPerStep = 4
	defer func() { recordsPerStep = 0 }()
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 1, sound)
		defer w.end()
		b := w.m[1]
		w.kill(b, true)
		b.limit = sweepPages * 3 / 2 * block.Page
		w.boot(b)
		s.sweep(1200)
		if w.said("the other array: ") == 0 {
			t.Fatalf("a target without room is not told of\n%s", w.told())
		}
		if s.judge(b, "without room").IsZero() {
			t.Fatal("no point came before the room ended")
		}
		before := s.acked
		s.sweep(200)
		if s.acked < before+100 {
			t.Errorf("hosts of the source wait for the target's room: %d writes", s.acked-before)
		}
		last := s.judge(b, "still without room")
		w.kill(b, true)
		b.limit = 0
		w.boot(b)
		pages := w.sentPages()
		for k := 0; !s.judge(b, "with room").After(last); k++ {
			if s.sweep(20); k > 200 {
				t.Fatal("no point comes though there is room")
			}
		}
		t.Logf("%d pages were sent after the room came", pages.Load())
		if pages.Load() >= sweepPages {
			t.Errorf("%d pages were sent of %d, though some were there", pages.Load(), sweepPages)
		}
	})
}

// TestPeriodResumes: pages that came before the link broke are not sent again.
func TestPeriodResumes(t *testing.T) {
	recordsPerStep = 2
	defer func() { recordsPerStep = 0 }()
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 1, sound)
		defer w.end()
		s.sweep(400)
		for i := s.sweepInfo(); i.Sending; i = s.sweepInfo() {
			s.sweep(1)
		}
		last := s.judge(w.m[1], "at first")
		pages := w.sentPages()
		s.untilPoint()
		s.sweep(40)
		w.mu.Lock()
		w.net.broke(0)
		w.mu.Unlock()
		w.each(func(p *process) { p.g.Lost() })
		first := pages.Swap(0)
		for !s.judge(w.m[1], "after it").After(last) {
			s.sweep(1)
		}
		t.Logf("%d pages before the break, %d after it", first, pages.Load())
		if pages.Load()+30 > first {
			t.Errorf("%d pages were sent before the break, and %d after it", first, pages.Load())
		}
	})
}

// TestPointsGiveWay: a source short of room gives back what points hold, and takes none until
// it has room; hosts go on all the while.
func TestPointsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 1, sound)
		defer w.end()
		a, b := w.m[0], w.m[1]
		s.sweep(600)
		w.kill(a, true)
		a.limit = sweepPages * 38 / 12 * block.Page // for the volumes, two points, and little more
		w.boot(a)
		s.sweep(200)
		last := s.judge(b, "before")
		w.net.cut = [2]bool{true, true} // so that the points stay
		s.sweep(600)
		if w.said("short of room") == 0 {
			t.Fatalf("nobody is told\n%s", w.told())
		}
		if p := a.p.pool.Volume(1); p.SnapshotCount() != 0 {
			t.Errorf("points hold %d snapshots", p.SnapshotCount())
		}
		before := s.acked
		s.sweep(200)
		if s.acked < before+100 {
			t.Errorf("hosts got %d writes done", s.acked-before)
		}
		w.net.cut = [2]bool{}
		for k := 0; !s.judge(b, "with room").After(last); k++ {
			if s.sweep(20); k > 200 {
				t.Fatal("no point comes though there is room")
			}
		}
	})
}

// TestOverPeriod: a period that is not kept is told once, and that it is kept again.
func TestOverPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newPeriodic(t, 1, sound)
		defer w.end()
		s.sweep(600)
		if w.said("over_per_alert") != 0 {
			t.Fatal("told of a period that is kept")
		}
		w.net.cut = [2]bool{true, true}
		s.sweep(1000)
		if n := w.said("over_per_alert: the period of 600ms is not kept"); n != 1 {
			t.Errorf("told %d times", n)
		}
		w.net.cut = [2]bool{}
		s.sweep(600)
		if n := w.said("the period is kept again"); n != 1 {
			t.Errorf("told %d times that it is kept again", n)
		}
		if at := s.judge(w.m[1], "again"); time.Since(at) > 2*pointEvery {
			t.Errorf("the copy is of %v ago", time.Since(at))
		}
	})
}

func (s *sweeper) sweepInfo() group.PeriodInfo {
	i, err := s.w.m[0].p.g.Info()
	s.w.must(err)
	return i.Period
}
