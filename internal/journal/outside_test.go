// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// shelf keeps payloads outside, by number.
type shelf struct {
	mu      sync.Mutex
	has     map[uint64][]byte
	claimed map[uint64]bool
	dropped chan uint64 // nil if nobody listens
	onDrop  func(n uint64)
}

func newShelf() *shelf { return &shelf{has: map[uint64][]byte{}, claimed: map[uint64]bool{}} }

// parcel is one payload.
type parcel struct {
	s     *shelf
	n     uint64
	b     []byte
	gate  chan struct{} // closed when Write may go on; nil: at once
	early bool          // where it goes is told before
	fails bool
}

func (p *parcel) Write(known func([]byte)) ([]byte, error) {
	if p.early {
		known(binary.BigEndian.AppendUint64(nil, p.n))
	}
	if p.gate != nil {
		<-p.gate
	}
	if p.fails {
		return nil, errors.New("the shelf is full")
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.has[p.n] = bytes.Clone(p.b)
	return binary.BigEndian.AppendUint64(nil, p.n), nil
}

func (p *parcel) Drop() {
	if p.s.onDrop != nil {
		p.s.onDrop(p.n)
	}
	p.s.mu.Lock()
	delete(p.s.has, p.n)
	p.s.mu.Unlock()
	if p.s.dropped != nil {
		p.s.dropped <- p.n
	}
}

func (s *shelf) Claim(ref []byte) (Outside, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := binary.BigEndian.Uint64(ref)
	s.claimed[n] = true
	return &parcel{s: s, n: n}, nil
}

func (s *shelf) Check(ref []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has[binary.BigEndian.Uint64(ref)] != nil, nil
}

func (s *shelf) Load(ref, dst []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.has[binary.BigEndian.Uint64(ref)]
	if len(b) != len(dst) {
		return fmt.Errorf("%d bytes are on the shelf, not %d", len(b), len(dst))
	}
	copy(dst, b)
	return nil
}

// outside is a record whose payload goes to the shelf, under its place.
func (s *shelf) outside(g array.GroupID, p array.Place) (Record, *parcel) {
	r := rec(g, p, 1000)
	for i := range r.Payload {
		r.Payload[i] = byte(p) + byte(i)
	}
	x := &parcel{s: s, n: uint64(p), b: r.Payload}
	r.Outside = x
	return r, x
}

func shelfOptions(s *shelf) Options {
	o := testOptions()
	o.Places = s
	return o
}

// TestOutsideOrder: the records of a group wait for a payload that is on its way, those
// of others do not; and a cut waits its turn.
func TestOutsideOrder(t *testing.T) {
	s := newShelf()
	j := mustOpen(t, vfs.NewMem(), shelfOptions(s))
	defer j.Close()
	ok(t, j.SetBase(1, pos(0)))
	ok(t, j.SetBase(2, pos(0)))
	r, x := s.outside(1, 1)
	x.gate = make(chan struct{})
	ok(t, j.Append(r, rec(1, 2, 8)))
	ok(t, j.Append(rec(2, 1, 8)))
	j.waitFor(2, 1)
	if _, last, _ := j.Bounds(1); last.Place != 0 {
		t.Errorf("group 1 is durable up to %d without its payload", last.Place)
	}
	if j.Oldest(j.o.Now().Add(1e9)) < 1e9 {
		t.Error("nobody would notice that the payload hangs")
	}
	cut := make(chan error)
	go func() { cut <- j.Cut(1, 1) }()
	close(x.gate)
	j.waitFor(1, 1)
	ok(t, <-cut)
	if _, last, _ := j.Bounds(1); last.Place != 1 {
		t.Fatalf("after a cut group 1 ends at %d", last.Place)
	}
	ok(t, j.Read(1, 1, func(got Record) error {
		if !bytes.Equal(got.Payload, r.Payload) || got.Outside != x {
			t.Error("the payload is another one")
		}
		return nil
	}))
}

// TestOutsideFails: a payload that can't be put outside goes to the journal.
func TestOutsideFails(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	r, x := s.outside(1, 1)
	x.fails = true
	ok(t, j.Append(r))
	j.waitFor(1, 1)
	ok(t, j.Close())
	j = mustOpen(t, disk, testOptions()) // which knows of no shelf
	defer j.Close()
	ok(t, j.Read(1, 1, func(got Record) error {
		if !bytes.Equal(got.Payload, r.Payload) {
			t.Error("the payload is another one")
		}
		return nil
	}))
}

// TestOutsideIsDropped: a payload is dropped when nothing on disk names it any more,
// whatever the moment of a power cut, and no sooner. The clones are taken at the drop.
func TestOutsideIsDropped(t *testing.T) {
	for name, letGo := range map[string]func(j opened){
		"released":  func(j opened) { j.Release(1, 2) },
		"cut":       func(j opened) { ok(t, j.Cut(1, 0)) },
		"begun":     func(j opened) { ok(t, j.SetBase(1, pos(9))) },
		"forgotten": func(j opened) { ok(t, j.Forget(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, disk := newShelf(), vfs.NewMem()
			s.dropped = make(chan uint64, 8)
			var named []uint64
			s.onDrop = func(n uint64) {
				left := newShelf()
				for keep := range 3 {
					j, err := Open(disk.CrashClone(rand.New(rand.NewPCG(1, 2)), 50*keep), "j", shelfOptions(left))
					if err != nil {
						t.Error(err)
						return
					}
					_ = j.Close()
				}
				if left.claimed[n] {
					named = append(named, n)
				}
			}
			j := mustOpen(t, disk, shelfOptions(s))
			ok(t, j.SetBase(1, pos(0)))
			ok(t, j.SetBase(2, pos(0)))
			for p := range array.Place(2) {
				r, _ := s.outside(1, p+1)
				ok(t, j.Append(r))
			}
			j.waitFor(1, 2)
			letGo(j)
			if got := []uint64{<-s.dropped, <-s.dropped}; !slices.Equal(got, []uint64{1, 2}) {
				t.Errorf("%v were dropped", got)
			}
			ok(t, j.Close())
			if len(named) > 0 {
				t.Errorf("%v were dropped, and a power cut makes the journal name them again", named)
			}
		})
	}
}

// TestOutsideIsReadToTheEnd: what a reader may meet is not dropped under it.
func TestOutsideIsReadToTheEnd(t *testing.T) {
	s := newShelf()
	s.dropped = make(chan uint64, 8)
	j := mustOpen(t, vfs.NewMem(), shelfOptions(s))
	defer j.Close()
	ok(t, j.SetBase(1, pos(0)))
	var want [][]byte
	for p := range array.Place(3) {
		r, _ := s.outside(1, p+1)
		want = append(want, r.Payload)
		ok(t, j.Append(r))
	}
	j.waitFor(1, 3)
	n := 0
	ok(t, j.Read(1, 1, func(got Record) error {
		if n == 0 {
			j.Release(1, 3)
			ok(t, j.Append(rec(1, 4, 8))) // and with it a checkpoint
			j.waitFor(1, 4)
		}
		if !bytes.Equal(got.Payload, want[n]) {
			t.Errorf("place %d has another payload", got.Pos.Place)
		}
		n++
		return nil
	}))
	for range 3 {
		<-s.dropped
	}
}

// TestOutsideAfterRestart: what the journal names is claimed before it is open.
func TestOutsideAfterRestart(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	var want []byte
	for p := range array.Place(3) {
		r, _ := s.outside(1, p+1)
		want = r.Payload
		ok(t, j.Append(r))
	}
	j.waitFor(1, 3)
	ok(t, j.Cut(1, 2))
	r, _ := s.outside(1, 3)
	r.Outside.(*parcel).n = 33
	ok(t, j.Append(r))
	j.waitFor(1, 3)
	ok(t, j.Close())
	j = mustOpen(t, disk, shelfOptions(s))
	defer j.Close()
	for n, is := range map[uint64]bool{1: true, 2: true, 3: false, 33: true} {
		if s.claimed[n] != is {
			t.Errorf("payload %d is claimed: %v", n, s.claimed[n])
		}
	}
	var got []byte
	ok(t, j.Read(1, 3, func(r Record) error {
		got = bytes.Clone(r.Payload)
		if r.Outside == nil {
			t.Error("a record that is read does not know where its payload is")
		}
		return nil
	}))
	if !bytes.Equal(got, want) {
		t.Error("the payload is another one")
	}
	delete(s.has, 33)
	if err := j.Read(1, 3, func(Record) error { return nil }); err == nil {
		t.Error("a payload that is not there was read")
	}
}

// TestOutsideHangs: pages that hang keep the journal from nothing for long: the payload
// goes there.
func TestOutsideHangs(t *testing.T) {
	s, disk := newShelf(), vfs.NewMem()
	s.dropped = make(chan uint64, writers+1)
	j := mustOpen(t, disk, shelfOptions(s))
	ok(t, j.SetBase(1, pos(0)))
	gate := make(chan struct{})
	for p := range array.Place(writers + 1) { // the last doesn't even begin
		r, x := s.outside(1, p+1)
		x.gate = gate
		ok(t, j.Append(r))
	}
	j.waitFor(1, writers+1)
	close(gate)
	for range writers {
		<-s.dropped
	}
	n := 0
	ok(t, j.Read(1, 1, func(r Record) error {
		if n++; r.Outside != nil || r.Payload[0] != byte(n) {
			t.Errorf("record %d is outside, or another one", n)
		}
		return nil
	}))
	ok(t, j.Close())
}

// TestLettingGoTakesNothingPromised: a full journal keeps what it promised, however often
// payloads are released.
func TestLettingGoTakesNothingPromised(t *testing.T) {
	s := newShelf()
	j := mustOpen(t, vfs.NewMem(), shelfOptions(s))
	defer j.Close()
	ok(t, j.SetBase(1, pos(0)))
	ok(t, j.SetBase(2, pos(0)))
	const outs, promised = 30, 6
	for p := range array.Place(outs) {
		r, _ := s.outside(2, p+1)
		ok(t, j.Append(r))
		j.waitFor(2, p+1)
	}
	if !j.Reserve(promised * Cost(100)) {
		t.Fatal("no room to reserve")
	}
	p := array.Place(0)
	for j.Append(rec(1, p+1, 4000)) == nil {
		p++
		j.waitFor(1, p)
	}
	released := array.Place(0)
	for range promised {
		for range outs / promised {
			released++
			j.Release(2, released)
			ok(t, j.Cut(1, p)) // which takes part in the flush after
		}
		p++
		r := rec(1, p, 100)
		r.Reserved = true
		ok(t, j.Append(r))
		j.waitFor(1, p)
	}
}

// TestLaterReadersHoldNothing: a reader that begins when a payload is released already
// does not keep it.
func TestLaterReadersHoldNothing(t *testing.T) {
	s := newShelf()
	s.dropped = make(chan uint64, 8)
	j := mustOpen(t, vfs.NewMem(), shelfOptions(s))
	defer j.Close()
	ok(t, j.SetBase(1, pos(0)))
	ok(t, j.SetBase(2, pos(0)))
	r, _ := s.outside(1, 1)
	ok(t, j.Append(r, rec(2, 1, 8), rec(2, 2, 8)))
	j.waitFor(1, 1)
	ok(t, j.Read(2, 1, func(first Record) error {
		if first.Pos.Place > 1 {
			return nil
		}
		j.Release(1, 1)
		return j.Read(2, 2, func(Record) error { // ends after the one around it would have
			return nil
		})
	}))
	<-s.dropped
	r, _ = s.outside(1, 2)
	ok(t, j.Append(r))
	j.waitFor(1, 2)
	j.Release(1, 2)
	<-s.dropped // with a checkpoint behind which reads begin
	ok(t, j.Read(2, 1, func(Record) error { return nil }))
}
