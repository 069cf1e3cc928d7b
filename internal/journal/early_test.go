// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// earlyRecord appends a record whose payload is on its way until the gate is closed, and
// returns when the record was written.
func earlyRecord(t *testing.T, j opened, disk *vfs.Mem, s *shelf, p array.Place) (Record, *parcel) {
	t.Helper()
	written := make(chan struct{}, 64)
	disk.SetHook(func(op vfs.Op) {
		if op.Verb == vfs.OpSync && strings.Contains(op.Name, segmentPrefix) {
			written <- struct{}{}
		}
	})
	r, x := s.outside(1, p)
	x.early, x.gate = true, make(chan struct{})
	ok(t, j.Append(r))
	<-written
	disk.SetHook(nil)
	return r, x
}

func lastAfter(t *testing.T, disk *vfs.Mem, s *shelf) array.Place {
	t.Helper()
	j := mustOpen(t, disk, shelfOptions(s))
	_, last, _ := j.Bounds(1)
	err := j.Read(1, 2, func(Record) error { return nil })
	if err != nil {
		t.Errorf("the journal ends at place %d: %v", last.Place, err)
	}
	ok(t, j.Append(rec(1, last.Place+1, 8)))
	j.waitFor(1, last.Place+1)
	ok(t, j.Close())
	return last.Place
}

// TestEarly: a record that is written before its payload counts when both are durable, and
// a crash between the two leaves nothing of it.
func TestEarly(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	ok(t, j.Append(rec(1, 1, 8)))
	j.waitFor(1, 1)
	r, x := earlyRecord(t, j, disk, s, 2)
	if _, last, _ := j.Bounds(1); last.Place != 1 {
		t.Errorf("durable up to %d without its payload", last.Place)
	}
	for keep := 0; keep <= 100; keep += 50 {
		if last := lastAfter(t, disk.CrashClone(rand.New(rand.NewPCG(1, 2)), keep), newShelf()); last != 1 {
			t.Errorf("the journal ends at %d, with a record whose payload never came", last)
		}
	}
	came := newShelf()
	came.has[2] = r.Payload
	if last := lastAfter(t, disk.CrashClone(rand.New(rand.NewPCG(1, 2)), 100), came); last != 2 || !came.claimed[2] {
		t.Errorf("the journal ends at %d, and what it names is claimed: %v", last, came.claimed[2])
	}
	close(x.gate)
	j.waitFor(1, 2)
	if !bytes.Equal(s.has[2], r.Payload) {
		t.Error("it counts without its payload")
	}
	ok(t, j.Close())
}

// TestEarlyOnlyAtTheEnd: a payload that is lost behind which the journal went on is damage,
// not a torn end.
func TestEarlyOnlyAtTheEnd(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	_, x := earlyRecord(t, j, disk, s, 1)
	close(x.gate)
	j.waitFor(1, 1)
	ok(t, j.Append(rec(1, 2, 8)))
	j.waitFor(1, 2)
	ok(t, j.Close())
	j = mustOpen(t, disk, shelfOptions(newShelf()))
	defer j.Close()
	if _, last, _ := j.Bounds(1); last.Place != 2 {
		t.Errorf("the journal ends at %d", last.Place)
	}
	if j.Read(1, 1, func(Record) error { return nil }) == nil {
		t.Error("a payload that is not there was read")
	}
}

// TestEarlyInVain: a payload that fails or hangs when its record was written already goes
// to the journal, in the same place.
func TestEarlyInVain(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		s, disk := newShelf(), vfs.NewMem()
		s.dropped = make(chan uint64, 1)
		j := mustOpen(t, disk, shelfOptions(s))
		ok(t, j.SetBase(1, pos(0)))
		r, x := earlyRecord(t, j, disk, s, 1)
		if !hangs {
			x.fails = true
			close(x.gate)
		}
		ok(t, j.Append(rec(1, 2, 8)))
		j.waitFor(1, 2)
		if hangs {
			close(x.gate)
			<-s.dropped
		}
		ok(t, j.Close())
		j = mustOpen(t, disk, testOptions()) // which knows of no shelf
		n := 0
		ok(t, j.Read(1, 1, func(got Record) error {
			if n++; n == 1 && !bytes.Equal(got.Payload, r.Payload) {
				t.Error("the payload is another one")
			}
			return nil
		}))
		if n != 2 {
			t.Errorf("%d records", n)
		}
		ok(t, j.Close())
	}
}

// TestWhatIsCutIsTold: a last flush that is left out because data of it are missing is told.
func TestWhatIsCutIsTold(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	_, x := earlyRecord(t, j, disk, s, 1)
	close(x.gate)
	j.waitFor(1, 1)
	ok(t, j.Close())
	told := 0
	o := shelfOptions(newShelf()) // the data are gone
	o.Cut = func(records int) { told += records }
	again := mustOpen(t, disk, o)
	if _, last, _ := again.Bounds(1); last.Place != 0 || told != 1 {
		t.Errorf("the journal ends at %d, and was told of %d records", last.Place, told)
	}
	ok(t, again.Close())
}

// TestTheTimerComesLate: the end of the wait for a flush's payloads may come when they were
// durable just before, and the flush's items are free again, or other records'.
func TestTheTimerComesLate(t *testing.T) {
	s := newShelf()
	j := mustOpen(t, vfs.NewMem(), shelfOptions(s))
	defer j.Close()
	other := &item{early: true, waits: true}
	w := &waited{batch: []*item{nil, other}}
	j.mu.Lock()
	w.over = true // as complete leaves it
	j.mu.Unlock()
	j.tooLong(w)
	if !other.waits {
		t.Error("a record of the next flush was given up")
	}
	batch := []*item{{}}
	if !j.complete(batch) {
		t.Error("a flush without payloads is not whole")
	}
}
