// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

func pos(p array.Place) array.Position { return array.Position{Epoch: 1, Term: 1, Place: p} }

func rec(g array.GroupID, p array.Place, n int) Record {
	return Record{Group: g, Pos: pos(p), Kind: Data, Length: int64(n), Payload: make([]byte, n)}
}

// opened is a journal whose durable reports a test can wait for.
type opened struct {
	*Journal
	durable chan []Durable
}

func mustOpen(t *testing.T, fs vfs.FS, o Options) opened {
	t.Helper()
	ch := make(chan []Durable, 1024)
	o.Durable = func(d []Durable) { ch <- slices.Clone(d) }
	j, err := Open(fs, "j", o)
	if err != nil {
		t.Fatal(err)
	}
	return opened{j, ch}
}

func (o opened) waitFor(g array.GroupID, p array.Place) {
	for ds := range o.durable {
		for _, d := range ds {
			if d.Group == g && d.Pos.Place >= p {
				return
			}
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOrderIsEnforced(t *testing.T) {
	j := mustOpen(t, vfs.NewMem(), testOptions())
	defer j.Close()
	if err := j.Append(rec(1, 1, 8)); array.KindOf(err) != array.NotFound {
		t.Fatal("append to an unknown group:", err)
	}
	ok(t, j.SetBase(1, pos(9)))
	for _, r := range []Record{
		rec(1, 9, 8), rec(1, 11, 8),
		{Group: 1, Pos: array.Position{Term: 1, Place: 10}, Kind: Zeros},
		{Group: 1, Pos: pos(10), Kind: Data, Length: 4},
		{Group: 1, Pos: pos(10), Kind: 9},
		{Group: 1, Pos: pos(10), Kind: Zeros, Offset: -1},
		rec(1, 10, 7<<10),
	} {
		if err := j.Append(r); err == nil {
			t.Fatalf("record %+v was taken", r.Pos)
		}
	}
	if err := j.Append(rec(1, 10, 8), rec(1, 12, 8)); err == nil {
		t.Fatal("a gap inside one append was taken")
	}
	ok(t, j.Append(rec(1, 10, 8), rec(1, 11, 8)))
	j.waitFor(1, 11)
	if err := j.Cut(1, 8); array.KindOf(err) != array.Invalid {
		t.Fatal("cut below the base:", err)
	}
	ok(t, j.Cut(1, 10))
	ok(t, j.Append(rec(1, 11, 8)))
	j.waitFor(1, 11)
	if err := j.Read(1, 9, nil); array.KindOf(err) != array.Range {
		t.Fatal("read of released places:", err)
	}
}

// TestPromisedRoom fills the journal with promises, and shows that every promise is
// kept, that nothing else is taken, and that releasing makes room again.
func TestPromisedRoom(t *testing.T) {
	j := mustOpen(t, vfs.NewMem(), testOptions())
	defer j.Close()
	ok(t, j.SetBase(1, pos(0)))
	cost, n := Cost(5000), 0
	for j.Reserve(cost) {
		n++
	}
	if n < 10 {
		t.Fatalf("only %d records were promised", n)
	}
	if err := j.Append(rec(1, 1, 5000)); !errors.Is(err, ErrFull) {
		t.Fatal("a record without promise was taken:", err)
	}
	for p := range n {
		r := rec(1, array.Place(p+1), 5000)
		r.Reserved = true
		ok(t, j.Append(r))
	}
	j.waitFor(1, array.Place(n))
	// Promises reckon with the worst, so a few more may fit.
	for err := error(nil); err == nil; n++ {
		if err = j.Append(rec(1, array.Place(n+1), 5000)); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal("a full journal says:", err)
		}
	}
	n--
	j.waitFor(1, array.Place(n))
	last := array.Place(n)
	for round := range 5 { // every segment several times
		j.Release(1, last)
		ok(t, j.SetBase(2, pos(0))) // a flush, which checkpoints
		ok(t, j.SetBase(2, pos(0)))
		begin := last
		for j.Append(rec(1, last+1, 5000)) == nil {
			last++
			j.waitFor(1, last)
		}
		if int(last-begin) < n/2 {
			t.Fatalf("round %d: only %d records fit after a release, %d did at first", round, last-begin, n)
		}
	}
	if err := j.Append(rec(1, last+1, 5000)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
}

func TestBrokenDiskBreaksTheJournal(t *testing.T) {
	for _, verb := range []vfs.Verb{vfs.OpWrite, vfs.OpSync} {
		disk := vfs.NewInject(vfs.NewMem())
		failed := make(chan error, 2)
		o := testOptions()
		o.Failed = func(err error) { failed <- err }
		j := mustOpen(t, disk, o)
		ok(t, j.SetBase(1, pos(0)))
		ok(t, j.Append(rec(1, 1, 8)))
		j.waitFor(1, 1)
		disk.Add(vfs.Rule{Verb: verb, Times: 1, Err: syscall.EIO})
		ok(t, j.Append(rec(1, 2, 8)))
		if err := <-failed; !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := j.Append(rec(1, 3, 8)); !errors.Is(err, syscall.EIO) {
			t.Fatal("a broken journal took a record:", err)
		}
		if err := j.Cut(1, 1); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := j.Close(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		j = mustOpen(t, disk, testOptions())
		if _, last, _ := j.Bounds(1); last.Place < 1 {
			t.Fatal("what was durable is lost:", last)
		}
		ok(t, j.Close())
	}
}

func TestFullDiskAtOpen(t *testing.T) {
	disk := vfs.NewInject(vfs.NewMem())
	disk.Add(vfs.Rule{Verb: vfs.OpAllocate, Skip: 3, Err: syscall.ENOSPC})
	_, err := Open(disk, "j", testOptions())
	if array.KindOf(err) != array.Full || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	disk.Clear()
	ok(t, mustOpen(t, disk, testOptions()).Close())
}

func TestHangingDiskShows(t *testing.T) {
	disk := vfs.NewInject(vfs.NewMem())
	entered, leave := make(chan bool), make(chan bool)
	now := time.Unix(100, 0)
	o := testOptions()
	o.Now = func() time.Time { return now }
	j := mustOpen(t, disk, o)
	ok(t, j.SetBase(1, pos(0)))
	disk.Add(vfs.Rule{Verb: vfs.OpSync, Times: 1, Before: func(vfs.Op) { entered <- true; <-leave }})
	if d := j.Oldest(now.Add(time.Hour)); d != 0 {
		t.Fatal("idle, but oldest is", d)
	}
	ok(t, j.Append(rec(1, 1, 8)))
	<-entered
	ok(t, j.Append(rec(1, 2, 8)))
	if d := j.Oldest(now.Add(time.Second)); d != time.Second {
		t.Fatal("hanging for a second, but oldest is", d)
	}
	leave <- true
	j.waitFor(1, 2)
	ok(t, j.Close())
}

// TestDamageIsNeverDropped flips one bit at a time in a journal that was closed
// properly. Every flip in a record is either reported, naming the segment, or
// leaves all records as they were; only the last flush may be lost.
func TestDamageIsNeverDropped(t *testing.T) {
	disk := vfs.NewMem()
	j := mustOpen(t, disk, testOptions())
	ok(t, j.SetBase(1, pos(0)))
	const n = 24
	for p := array.Place(1); p <= n; p++ {
		ok(t, j.Append(rec(1, p, 4000)))
		j.waitFor(1, p)
	}
	ok(t, j.Close())
	rng := rand.New(rand.NewPCG(5, 5))
	reported := 0
	for range 250 {
		c := disk.CrashClone(rng, 100)
		name := fmt.Sprintf("j/%s", segmentName(rng.IntN(4)))
		ok(t, c.Flip(name, rng.Int64N(1<<18)))
		j, err := Open(c, "j", testOptions())
		if err != nil {
			reported++
			if array.KindOf(err) != array.Medium || !strings.Contains(err.Error(), "segment") {
				t.Fatal("damage is reported as", err)
			}
			continue
		}
		_, last, _ := j.Bounds(1)
		got := 0
		if err := j.Read(1, 1, func(Record) error { got++; return nil }); err != nil || got < n-1 || int(last.Place) != got {
			t.Fatalf("%s: %d of %d records left, up to %s: %v", name, got, n, last, err)
		}
		ok(t, j.Close())
	}
	if reported < 50 {
		t.Fatalf("only %d of 250 flips were reported", reported)
	}
}

func TestSecondProcessAndForeignDirectory(t *testing.T) {
	disk := vfs.NewMem()
	j := mustOpen(t, disk, testOptions())
	if _, err := Open(disk, "j", testOptions()); err == nil {
		t.Fatal("opened twice")
	}
	ok(t, j.Close())
	ok(t, disk.Remove("j/format"))
	if _, err := Open(disk, "j", testOptions()); err == nil {
		t.Fatal("segments without a format file were overwritten")
	}
}

func FuzzRecord(f *testing.F) {
	b := make([]byte, headerSize)
	(&header{Record: rec(1, 2, 4), seq: 1, self: 4096, flushStart: 4096}).encode(b, &[16]byte{1})
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b, [16]byte{1}, 4096)
		if err != nil {
			return
		}
		again := make([]byte, headerSize)
		h.encode(again, &[16]byte{1})
		if h2, err := decodeHeader(again, [16]byte{1}, 4096); err != nil || h2.Pos != h.Pos || h2.seq != h.seq {
			t.Fatal(h, h2, err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add((&checkpoint{
		live:   []liveSegment{{1, 2}},
		groups: []groupState{{group: 1, base: pos(3), cuts: []cut{{4, location{5, 6}}}}},
	}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCheckpoint(b)
		if err == nil && string(c.encode()) != string(b) {
			t.Fatal("decoded and encoded differ")
		}
	})
}

func FuzzFormatAndSegment(f *testing.F) {
	f.Add(format{segmentSize: 4096}.encode())
	b := make([]byte, segmentHeader)
	encodeSegment(b, [16]byte{}, 7)
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = decodeFormat(b)
		_, _ = decodeSegment(b, [16]byte{})
	})
}
