// SPDX-License-Identifier: Apache-2.0

package scsi_test

import (
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/scsi/ramunit"
)

// limits answers as a test wants, and remembers.
type limits struct {
	mu    sync.Mutex
	wait  time.Duration
	no    bool
	most  []time.Duration
	bytes []int64
	ended int
}

func (l *limits) Limited(array.VolumeID) bool { return true }

func (l *limits) Admit(_ array.VolumeID, _ time.Time, bytes int64, most time.Duration) (time.Duration, func(time.Duration), bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most, l.bytes = append(l.most, most), append(l.bytes, bytes)
	return l.wait, func(time.Duration) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended++
	}, !l.no
}

func newLimited(t *testing.T, l *limits) (*rig, *scsi.Nexus) {
	r := &rig{t: t, pool: block.NewPool(64 << 20)}
	r.disk = ramunit.New("vv0", array.MakeVolumeID(3, 9), blocks*block.Sector, 1, 2)
	r.exports = ramunit.NewExports(r.disk.Unit(0))
	r.server = scsi.NewServer(scsi.Config{Exports: r.exports, Pool: r.pool, Revision: "0.1", Limits: l})
	t.Cleanup(func() {
		r.server.Close()
		if n := r.pool.Used(); n != 0 {
			t.Errorf("%d bytes of buffers were never given back", n)
		}
	})
	return r, r.nexus("iqn.host", 1)
}

func at(age time.Duration) func(*scsi.Command) {
	return func(c *scsi.Command) { c.Arrived = boottime.Now().Add(-age) }
}

// TestACommandWaitsForItsLimit, and what it moves is counted; commands without data are not.
func TestACommandWaitsForItsLimit(t *testing.T) {
	l := &limits{wait: 20 * time.Millisecond}
	r, x := newLimited(t, l)
	began := boottime.Now()
	_, done := r.begin(x, cdb(0x2A, 3), filled(3*block.Sector, 7), nil)
	if c := <-done; c.Status != scsi.Good || boottime.Now().Sub(began) < l.wait {
		t.Errorf("status %#x after %v", c.Status, boottime.Now().Sub(began))
	}
	_, done = r.begin(x, cdb(0x28, 2), nil, nil)
	c := <-done
	c.InBuffer.Release()
	r.run(x, cdb(0, 6), nil)
	if len(l.bytes) != 2 || l.bytes[0] != 3*block.Sector || l.bytes[1] != 2*block.Sector || l.ended != 2 {
		t.Errorf("counted %v, %d ended", l.bytes, l.ended)
	}
}

func filled(n int, b byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

// TestWaitingCountsTowardLate: what a command may wait is less the older it is, and one that
// came out of its wait too late is BUSY and was not carried out.
func TestWaitingCountsTowardLate(t *testing.T) {
	l := &limits{}
	r, x := newLimited(t, l)
	for _, age := range []time.Duration{0, time.Second, 1900 * time.Millisecond} {
		_, done := r.begin(x, cdb(0x2A, 1), filled(block.Sector, 1), at(age))
		if c := <-done; c.Status != scsi.Good {
			t.Errorf("%v old: status %#x", age, c.Status)
		}
	}
	for i, most := range []time.Duration{scsi.Late, scsi.Late - time.Second, 0} {
		if got := l.most[i]; got > most || got < most-time.Second {
			t.Errorf("%d may wait %v, want less than %v", i, got, most)
		}
	}
	l.wait = 60 * time.Millisecond
	_, done := r.begin(x, cdb(0x2A, 1), filled(block.Sector, 9), at(scsi.Late-30*time.Millisecond))
	if c := <-done; c.Status != scsi.Busy {
		t.Errorf("status %#x", c.Status)
	}
	l.wait = 0
	_, done = r.begin(x, cdb(0x28, 1), nil, nil)
	c := <-done
	if c.In[0] != 1 {
		t.Error("a late write was carried out")
	}
	c.InBuffer.Release()
}

// TestWhoIsRefused hears BUSY if he has nothing else under way, else TASK SET FULL.
func TestWhoIsRefused(t *testing.T) {
	l := &limits{no: true}
	r, x := newLimited(t, l)
	_, done := r.begin(x, cdb(0x28, 1), nil, nil)
	if c := <-done; c.Status != scsi.Busy {
		t.Errorf("alone: status %#x", c.Status)
	}
	l.no, l.wait = false, time.Hour
	first, firstDone := r.begin(x, cdb(0x28, 1), nil, nil)
	l.no = true
	_, done = r.begin(x, cdb(0x28, 1), nil, nil)
	if c := <-done; c.Status != scsi.TaskSetFull {
		t.Errorf("beside another: status %#x", c.Status)
	}
	first.Abort()
	if c := <-firstDone; c.Status != scsi.TaskAborted {
		t.Errorf("aborted: status %#x", c.Status)
	}
	first.Abort()
	if len(firstDone) > 0 || l.ended != 1 {
		t.Errorf("Done came twice, or %d ended", l.ended)
	}
}

// TestARightLostWhileWaiting: a read that waited for its limit while its host lost the right
// to read is refused, and tells nothing of what was written since.
func TestARightLostWhileWaiting(t *testing.T) {
	l := &limits{wait: 50 * time.Millisecond}
	r, x := newLimited(t, l)
	other := r.nexus("iqn.other", 1)
	r.run(other, cdb(0, 6), nil) // its unit attention
	_, done := r.begin(x, cdb(0x28, 1), nil, nil)
	want(t, "register", r.run(other, cdb(0x5F, 24), prOut(0, 0xB)), scsi.Good, 0)
	want(t, "reserve", r.run(other, with(cdb(0x5F, 24), 1, 1, 2, 3), prOut(0xB, 0)), scsi.Good, 0)
	if c := <-done; c.Status != scsi.ReservationConflict || c.In != nil {
		t.Errorf("status %#x with %d bytes", c.Status, len(c.In))
	}
}
