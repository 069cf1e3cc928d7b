// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/vfs"
)

// modelGroup is what a group's journal must hold after a power cut.
type modelGroup struct {
	base    array.Position // what the first record of log follows
	first   array.Place    // of log
	log     []Record       // all accepted records of the present lineage, never changed in place
	durable array.Place    // the last place reported
	release array.Place    // the last place released
	lowest  array.Place    // how far a cut under way may reach, else none
	busy    bool           // a SetBase or Forget is under way
	absent  bool
}

func (m *modelGroup) at(p array.Place) (Record, bool) {
	if p < m.first || p >= m.first+array.Place(len(m.log)) {
		return Record{}, false
	}
	return m.log[p-m.first], true
}

type model struct {
	mu     sync.Mutex
	groups [5]modelGroup
}

// picture is a disk after a power cut, and what it must hold.
type picture struct {
	on     bed
	disk   *vfs.Mem
	groups [5]modelGroup
	seed   uint64
	op     vfs.Op
}

func payload(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func testOptions() Options {
	return Options{Limit: 8 << 16, SegmentSize: 1 << 16, MaxPayload: 6 << 10, MaxGroups: 8, NoPrefill: true}
}

// check opens the disk and compares it with what it must hold.
func (p *picture) check(o Options) error {
	j, done, err := p.on(p.disk, o)
	if err != nil {
		return err
	}
	defer func() { _ = done() }()
	for i := range p.groups {
		m, id := &p.groups[i], array.GroupID(i)
		base, last, ok := j.Bounds(id)
		switch {
		case m.busy:
			continue
		case m.absent != !ok:
			return fmt.Errorf("group %d: present %v, absent in the model %v", i, ok, m.absent)
		case m.absent:
			continue
		}
		if base.Place > m.release {
			return fmt.Errorf("group %d: base %s beyond release %d", i, base, m.release)
		}
		want := m.durable
		if m.lowest != 0 {
			want = min(want, m.lowest-1)
		}
		if last.Place < want {
			return fmt.Errorf("group %d: durable up to %d, after the cut %s", i, want, last)
		}
		next := base.Place + 1
		err := j.Read(id, next, func(r Record) error {
			w, ok := m.at(r.Pos.Place)
			if !ok || r.Pos.Place != next {
				return fmt.Errorf("group %d: record %s, expected place %d of %d+%d", i, r.Pos, next, m.first, len(m.log))
			}
			next++
			if r.Pos != w.Pos || r.Kind != w.Kind || r.Tag != w.Tag || r.Offset != w.Offset || r.Length != w.Length ||
				r.Volume != w.Volume || !bytes.Equal(r.Payload, w.Payload) {
				return fmt.Errorf("group %d: record %s differs from what was appended", i, r.Pos)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if next != last.Place+1 {
			return fmt.Errorf("group %d: read up to %d of %s", i, next-1, last)
		}
	}
	return nil
}

// worker appends, cuts and releases at random, and tells the model before and after.
type worker struct {
	j   *Journal
	m   *model
	rng *rand.Rand
}

func (w *worker) step() error {
	i := w.rng.IntN(len(w.m.groups))
	id := array.GroupID(i)
	w.m.mu.Lock()
	g := w.m.groups[i]
	w.m.mu.Unlock()
	last := g.first + array.Place(len(g.log)) - 1
	switch n := w.rng.IntN(100); {
	case g.absent || n < 2:
		return w.restart(id, array.Place(w.rng.IntN(50)))
	case n < 4:
		return w.change(id, func() error { return w.j.Forget(id) }, modelGroup{absent: true})
	case n < 10:
		lo := g.release
		if last <= lo {
			return nil
		}
		return w.cut(id, lo+array.Place(w.rng.IntN(int(last-lo)+1)))
	case n < 35:
		upTo := g.release + array.Place(w.rng.IntN(int(max(g.durable, g.release)-g.release)+1))
		w.m.mu.Lock()
		w.m.groups[i].release = upTo
		w.m.mu.Unlock()
		w.j.Release(id, upTo)
		return nil
	}
	return w.append(id, 1+w.rng.IntN(6))
}

func (w *worker) change(id array.GroupID, do func() error, after modelGroup) error {
	w.m.mu.Lock()
	w.m.groups[id].busy = true
	w.m.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	w.m.mu.Lock()
	w.m.groups[id] = after
	w.m.mu.Unlock()
	return nil
}

func (w *worker) restart(id array.GroupID, at array.Place) error {
	pos := array.Position{Epoch: 1, Term: 1, Place: at}
	return w.change(id, func() error { return w.j.SetBase(id, pos) },
		modelGroup{base: pos, first: at + 1, durable: at, release: at})
}

func (w *worker) cut(id array.GroupID, after array.Place) error {
	w.m.mu.Lock()
	g := &w.m.groups[id]
	g.lowest = after + 1
	w.m.mu.Unlock()
	if err := w.j.Cut(id, after); err != nil {
		return err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	n := int(after + 1 - g.first)
	g.log, g.durable, g.lowest = g.log[:n:n], min(g.durable, after), 0
	return nil
}

func (w *worker) append(id array.GroupID, n int) error {
	w.m.mu.Lock()
	g := &w.m.groups[id]
	tail := g.base
	if len(g.log) > 0 {
		tail = g.log[len(g.log)-1].Pos
	}
	var recs []Record
	for range n {
		tail.Place++
		if w.rng.IntN(20) == 0 {
			tail.Term++
		}
		r := Record{Group: id, Pos: tail, Kind: Zeros, Volume: 7, Offset: int64(w.rng.IntN(1 << 20)), Length: 512}
		if w.rng.IntN(4) > 0 {
			r.Kind, r.Payload = Data, payload(w.rng, 1+w.rng.IntN(5000))
			r.Length = int64(len(r.Payload))
		}
		r.Tag[0] = byte(w.rng.Uint32())
		recs = append(recs, r)
	}
	old := g.log
	g.log = append(g.log, recs...)
	w.m.mu.Unlock()
	err := w.j.Append(recs...)
	if err == nil {
		return nil
	}
	w.m.mu.Lock()
	g.log = old[:len(old):len(old)]
	w.m.mu.Unlock()
	if errors.Is(err, ErrFull) {
		for i := range w.m.groups { // make room
			w.m.mu.Lock()
			to := w.m.groups[i].durable
			w.m.groups[i].release = max(to, w.m.groups[i].release)
			w.m.mu.Unlock()
			w.j.Release(array.GroupID(i), to)
		}
		return nil
	}
	return err
}

// history works on a disk for some steps and returns pictures of power cuts on the way.
func history(on bed, disk *vfs.Mem, seed uint64, steps int, start [5]modelGroup) ([]picture, error) {
	rng := rand.New(rand.NewPCG(seed, 2))
	m := &model{groups: start}
	o := testOptions()
	o.Durable = func(ds []Durable) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, d := range ds {
			if g := &m.groups[d.Group]; !g.busy {
				g.durable = max(g.durable, d.Pos.Place)
			}
		}
	}
	var pictures []picture
	var making atomic.Bool // a journal that isn't there yet has nothing to lose
	making.Store(len(disk.Names()) == 0)
	hookRNG := rand.New(rand.NewPCG(seed, 3))
	disk.SetHook(func(op vfs.Op) {
		if op.Verb == vfs.OpOpen || hookRNG.IntN(6) != 0 || making.Load() {
			return
		}
		m.mu.Lock()
		groups := m.groups
		m.mu.Unlock()
		keep := []int{0, 50, 90, 100}[hookRNG.IntN(4)]
		pictures = append(pictures, picture{on, disk.CrashClone(hookRNG, keep), groups, seed, op})
	})
	j, done, err := on(disk, o)
	if err != nil {
		return nil, err
	}
	making.Store(false)
	w := &worker{j: j, m: m, rng: rng}
	for range steps {
		if err := w.step(); err != nil {
			return nil, errors.Join(err, done())
		}
	}
	err = done()
	disk.SetHook(nil)
	return append(pictures, picture{on, disk.CrashClone(hookRNG, 0), m.groups, seed, vfs.Op{}}), err
}

func absentGroups() (g [5]modelGroup) {
	for i := range g {
		g[i].absent = true
	}
	return g
}

// TestPowerCuts cuts the power at many points of random histories: every record
// that was reported durable is there, with its bytes and in order, nothing that
// was cut comes back, and there are no gaps. It goes on from some of the disks.
func TestPowerCuts(t *testing.T)         { powerCuts(t, inDirectory, 12, 250) }
func TestPowerCutsOnDevice(t *testing.T) { powerCuts(t, onDevice, 3, 250) }

func powerCuts(t *testing.T, on bed, seeds, steps int) {
	total := 0
	for seed := range uint64(seeds) {
		pictures, err := history(on, vfs.NewMem(), seed, steps, absentGroups())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range pictures {
			p := &pictures[i]
			if err := p.check(testOptions()); err != nil {
				t.Fatalf("seed %d, cut %d before %v: %v", seed, i, p.op, err)
			}
		}
		total += len(pictures)
	}
	if total < 15*seeds {
		t.Fatalf("only %d power cuts", total)
	}
	t.Logf("%d power cuts", total)
}

// found returns the model of what a disk has.
func found(on bed, disk *vfs.Mem) (m [5]modelGroup, err error) {
	j, done, err := on(disk, testOptions())
	if err != nil {
		return m, err
	}
	defer func() { _ = done() }()
	for i := range m {
		base, last, ok := j.Bounds(array.GroupID(i))
		m[i] = modelGroup{base: base, first: base.Place + 1, durable: last.Place, release: base.Place, absent: !ok}
		if !ok {
			continue
		}
		err := j.Read(array.GroupID(i), base.Place+1, func(r Record) error {
			r.Payload = bytes.Clone(r.Payload)
			m[i].log = append(m[i].log, r)
			return nil
		})
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// TestPowerCutsAfterPowerCuts goes on from disks that power cuts left, and cuts
// the power again and again, in recovery too: what an earlier life left behind the
// end of the log must never come back.
func TestPowerCutsAfterPowerCuts(t *testing.T)         { cutsAfterCuts(t, inDirectory, 6) }
func TestPowerCutsAfterPowerCutsOnDevice(t *testing.T) { cutsAfterCuts(t, onDevice, 2) }

func cutsAfterCuts(t *testing.T, on bed, seeds int) {
	total := 0
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 77))
		disk, groups := vfs.NewMem(), absentGroups()
		for life := range uint64(12) {
			pictures, err := history(on, disk, seed*100+life, 25, groups)
			if err != nil {
				t.Fatalf("seed %d life %d: %v", seed, life, err)
			}
			for i := range pictures {
				if err := pictures[i].check(testOptions()); err != nil {
					t.Fatalf("seed %d life %d cut %d before %v: %v", seed, life, i, pictures[i].op, err)
				}
			}
			total += len(pictures)
			p := pictures[rng.IntN(len(pictures))]
			disk = p.disk
			if groups, err = found(on, disk); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d power cuts", total)
}

// TestForgetfulDiskIsCaught shows that TestPowerCuts would notice a missing flush.
func TestForgetfulDiskIsCaught(t *testing.T) {
	caught := 0
	for seed := range uint64(4) {
		disk := vfs.NewMem()
		j, err := Open(disk, "j", testOptions())
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		disk.IgnoreSync()
		pictures, err := history(inDirectory, disk, seed, 150, absentGroups())
		if err != nil {
			t.Fatal(err)
		}
		for i := range pictures {
			if err := pictures[i].check(testOptions()); err != nil {
				caught++
				if strings.Contains(err.Error(), "panic") {
					t.Fatal(err)
				}
			}
		}
	}
	if caught == 0 {
		t.Fatal("a disk that ignores every flush passed")
	}
	t.Logf("%d power cuts caught", caught)
}
