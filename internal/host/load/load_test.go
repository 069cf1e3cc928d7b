// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"hash/crc32"
	"hash/crc64"
	"sync"
	"testing"
)

// memory is a disk that can be made to misbehave.
type memory struct {
	mu    sync.Mutex
	b     []byte
	write func(off int64) (drop bool, err error) // asked for each write
	ended chan struct{}                          // a token for every command, if there is room
}

func newMemory(blocks int) *memory {
	return &memory{b: make([]byte, blocks*Block), ended: make(chan struct{}, 1)}
}

func (m *memory) Size() int64 { return int64(len(m.b)) }

func (m *memory) token() {
	select {
	case m.ended <- struct{}{}:
	default:
	}
}

func (m *memory) Read(_ context.Context, _ string, b []byte, off int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	copy(b, m.b[off:])
	m.token()
	return nil
}

func (m *memory) Write(_ context.Context, b []byte, off int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.token()
	if m.write != nil {
		if drop, err := m.write(off); drop || err != nil {
			return err
		}
	}
	copy(m.b[off:], b)
	return nil
}

func run(t *testing.T, commands int, disks ...*memory) *Load {
	t.Helper()
	o := Options{Workers: 4, Reads: 0.4, Seed: 7}
	for _, d := range disks {
		o.Disks = append(o.Disks, d)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	for range commands {
		<-disks[0].ended
	}
	l.Stop()
	return l
}

func TestAGoodDisk(t *testing.T) {
	m, n := newMemory(256), newMemory(128)
	l := run(t, 500, m, n)
	p, err := l.Verify(t.Context(), "a")
	if err != nil || l.Err() != nil || l.Faults() != 0 || l.Acknowledged() == 0 {
		t.Fatalf("%v, %v, %d faults, %d acknowledged", err, l.Err(), l.Faults(), l.Acknowledged())
	}
	q, err := l.Verify(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if blocks, different := p.Compare(q); blocks != 384 || different != 0 {
		t.Fatalf("%d of %d blocks differ", different, blocks)
	}
	for _, sums := range p {
		if seen := map[uint64]bool{}; !distinct(sums, seen) {
			t.Fatalf("%d different checksums of %d blocks", len(seen), len(sums))
		}
	}
	m.b[100] ^= 1
	q, err = l.Verify(t.Context(), "b")
	if err != nil || l.Faults() == 0 {
		t.Fatalf("a changed bit was not seen: %v", err)
	}
	if _, different := p.Compare(q); different != 1 {
		t.Fatalf("%d blocks differ, want 1", different)
	}
}

// distinct reports whether the checksums differ, but for the one of blocks never
// written.
func distinct(sums []uint64, seen map[uint64]bool) bool {
	empty := 0
	for _, v := range sums {
		if v == crc64.Checksum(make([]byte, Block), crc64.MakeTable(crc64.ECMA)) {
			empty++
		}
		seen[v] = true
	}
	return len(seen) >= len(sums)-empty
}

func TestALostWrite(t *testing.T) {
	m := newMemory(256)
	count := 0
	m.write = func(int64) (bool, error) { count++; return count%20 == 0, nil }
	l := run(t, 400, m)
	if _, err := l.Verify(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if l.Faults() == 0 {
		t.Fatal("lost writes were not seen")
	}
}

func TestAFailedWriteMayOrMayNotShow(t *testing.T) {
	m := newMemory(64)
	g := newLedger(1, 0, 64)
	buf := make([]byte, Block)
	put := func() { copy(m.b, buf) }
	g.write(0, buf)
	put()
	g.acknowledge(0, 1)
	old := append([]byte(nil), buf...)
	g.write(0, buf) // never acknowledged
	if f := g.check(0, old, g.floor(0, 1)); f != nil {
		t.Fatalf("the acknowledged one: %v", f[0])
	}
	if f := g.check(0, buf, g.floor(0, 1)); f != nil {
		t.Fatalf("the one tried: %v", f[0])
	}
	if f := g.check(0, old, g.floor(0, 1)); f == nil {
		t.Fatal("a read went back in time unseen")
	}
}

func TestErrorsAreCounted(t *testing.T) {
	m := newMemory(256)
	m.write = func(int64) (bool, error) { return false, errors.New("no") }
	l := run(t, 100, m)
	if l.Failed() == 0 || l.Err() == nil || l.Acknowledged() != 0 {
		t.Fatalf("%d failed, %v", l.Failed(), l.Err())
	}
}

func TestOtherBlocksAreNoticed(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	b := make([]byte, Block)
	s := stamp{1, 2, 3, 4}
	s.fill(b, table)
	for _, other := range []stamp{{9, 2, 3, 0}, {1, 9, 3, 0}, {1, 2, 9, 0}} {
		if _, err := other.sequenceOf(b, table); !errors.Is(err, errForeign) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if n, err := (stamp{1, 2, 3, 0}).sequenceOf(b, table); n != 4 || err != nil {
		t.Errorf("sequence %d, %v", n, err)
	}
	for _, at := range []int{0, 39, 40, Block - 1} {
		b[at] ^= 0x10
		if _, err := (stamp{1, 2, 3, 0}).sequenceOf(b, table); err == nil {
			t.Errorf("a change at %d was not noticed", at)
		}
		b[at] ^= 0x10
	}
	clear(b)
	b[77] = 1
	if _, err := s.sequenceOf(b, table); !errors.Is(err, errTorn) {
		t.Errorf("a torn block: %v", err)
	}
}
