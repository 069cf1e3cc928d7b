// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testOptions(dir string) Options {
	return Options{MapFile: filepath.Join(dir, "map"), Limit: 400 * block.Page, Grow: 64 * block.Page, Age: -1, NoSync: true, AtOnce: 1}
}

func check(p *Pool) (err error) {
	e := p.Check(true, func(s string) { err = fmt.Errorf("check: %s", s) })
	if e != nil {
		return e
	}
	return err
}

// frozen is a disk and map as a power cut left them, with what was applied until then.
type frozen struct {
	disk    *vfs.Mem
	mapFile []byte
	places  int
	shows   map[array.VolumeID][]byte
	doing   array.VolumeID // being removed at that moment
	refs    map[array.Place][]byte
}

func copyMap(db *bolt.DB) []byte {
	var b bytes.Buffer
	err := db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(&b)
		return err
	})
	if err != nil {
		return nil
	}
	return b.Bytes()
}

// powerCuts plays a family and returns what power cuts at the operations on the page
// file left, with the map before and after each commit.
func powerCuts(t *testing.T, seed uint64, steps int, forgetful bool) (*family, []frozen) {
	t.Helper()
	f := newFamily(t, seed, 1)
	if forgetful {
		f.disk.IgnoreSync()
	}
	rng := rand.New(rand.NewPCG(seed, 9))
	var out []frozen
	cut := func() {
		keep := []int{0, 50, 100}[rng.IntN(3)]
		now := copyMap(f.p.db)
		if now == nil {
			return // closed: it is being opened again
		}
		out = append(out, frozen{f.disk.CrashClone(rng, keep), now, len(f.log), maps.Clone(f.shows), f.removing, maps.Clone(f.refs)})
	}
	f.disk.SetHook(func(vfs.Op) {
		if rng.IntN(3) == 0 {
			cut()
		}
	})
	defer f.disk.SetHook(nil)
	for i := range steps {
		if err := f.act(t); err != nil {
			t.Fatalf("seed %d, step %d: %v\n%s", seed, i, err, f.tail())
		}
		if rng.IntN(6) == 0 {
			cut()
		}
	}
	return f, out
}

// verify opens a disk after a power cut, applies the log's steps that were not on
// pages, and compares with the model; then once more with all of it on pages.
func (z frozen) verify(t *testing.T, f *family) (err error) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "map"), z.mapFile, 0o600); err != nil {
		return err
	}
	o := testOptions(dir)
	o.Limit = f.o.Limit
	p, err := OpenPool(z.disk, "pool", o)
	if err != nil {
		return err
	}
	defer func() {
		if e := p.Close(); err == nil {
			err = e
		}
	}()
	if err := check(p); err != nil {
		return err
	}
	if err := f.claim(p, z.refs); err != nil {
		return err
	}
	if p.Destaged(1) > array.Place(z.places) {
		return fmt.Errorf("all up to %d is on pages, %d were applied", p.Destaged(1), z.places)
	}
	for _, step := range f.log[p.Destaged(1):z.places] {
		if err := step(p); err != nil {
			return err
		}
	}
	delete(z.shows, z.doing) // it is there, or it isn't
	after := &family{p: p, shows: z.shows, of: f.everOf, rng: f.rng}
	if err := after.compare(); err != nil {
		return fmt.Errorf("after replay: %w", err)
	}
	if err := p.Flush(1); err != nil {
		return err
	}
	after.of = nil // every snapshot is made by now
	if err := after.compare(); err != nil {
		return fmt.Errorf("after replay and destage: %w", err)
	}
	return check(p)
}

// TestPowerCuts: whatever the moment of a power cut, pages and the log's records
// behind the destaged place give what was applied, snapshots included.
func TestPowerCuts(t *testing.T) {
	total := 0
	seeds, want := uint64(4), 50
	if testing.Short() {
		seeds, want = 1, 10
	}
	for seed := range seeds {
		f, cuts := powerCuts(t, seed, 60, false)
		for i, z := range cuts {
			if err := z.verify(t, f); err != nil {
				t.Fatalf("seed %d, cut %d after %d records: %v\n%s", seed, i, z.places, err, f.tail())
			}
			total++
		}
	}
	if total < want {
		t.Fatalf("only %d power cuts", total)
	}
	t.Logf("%d power cuts", total)
}

func TestForgetfulDiskIsCaught(t *testing.T) {
	caught := 0
	f, cuts := powerCuts(t, 1, 60, true)
	for _, z := range cuts {
		if z.verify(t, f) != nil {
			caught++
		}
	}
	if caught == 0 {
		t.Fatal("a disk that ignores every flush passed")
	}
}

// TestReadersSeeOneOrder reads while records are applied and destaged. Every write
// fills its page with one byte, so a read of a page must never see two.
func TestReadersSeeOneOrder(t *testing.T) {
	dir := t.TempDir()
	p, err := OpenPool(vfs.NewMem(), "pool", testOptions(dir))
	ok(t, err)
	v, err := p.Create(VolumeSpec{ID: 1, Group: 1, Size: 8 * block.Page})
	ok(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Go(func() {
			last := make([]byte, 8)
			buf := make([]byte, block.Page)
			for page := int64(r); ; page = (page + 1) % 8 {
				select {
				case <-stop:
					return
				default:
				}
				if err := v.Read(buf, page*block.Page); err != nil {
					t.Error(err)
					return
				}
				if bytes.Count(buf, buf[:1]) != len(buf) || int8(buf[0]-last[page]) < 0 {
					t.Errorf("page %d: torn or back in time (%d after %d)", page, buf[0], last[page])
					return
				}
				last[page] = buf[0]
			}
		})
	}
	for i := range 400 {
		page := int64(i % 8)
		b := bytes.Repeat([]byte{byte(i / 8)}, block.Page)
		ok(t, v.Apply(journal.Record{
			Group: 1, Pos: array.Position{Place: array.Place(i + 1)}, Kind: journal.Data,
			Volume: 1, Offset: page * block.Page, Length: block.Page, Payload: b,
		}))
		if i%5 == 4 {
			ok(t, p.Flush(1))
		}
	}
	close(stop)
	wg.Wait()
	ok(t, check(p))
	ok(t, p.Close())
}
