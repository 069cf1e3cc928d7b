// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"fmt"
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

const testSize = 40*block.Page + 3*block.Sector

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testOptions(dir string) Options {
	return Options{MapFile: filepath.Join(dir, "map"), Limit: 400 * block.Page, Grow: 64 * block.Page, Age: -1, NoSync: true}
}

// randomRecord returns a write or zeroing of volume 1 or 2.
func randomRecord(rng *rand.Rand, p array.Place) journal.Record {
	r := journal.Record{Group: 1, Pos: array.Position{Place: p}, Kind: journal.Data, Volume: array.VolumeID(1 + rng.IntN(2))}
	sectors := int64(testSize / block.Sector)
	at := rng.Int64N(sectors)
	n := 1 + rng.Int64N(min(sectors-at, 80))
	if rng.IntN(30) == 0 {
		at, n = 0, sectors
	}
	r.Offset, r.Length = at*block.Sector, n*block.Sector
	if rng.IntN(4) == 0 || n == sectors {
		r.Kind = journal.Zeros
		return r
	}
	r.Payload = make([]byte, r.Length)
	for i := range r.Payload {
		r.Payload[i] = byte(rng.Uint32())
	}
	return r
}

// content is the model: the bytes of both volumes.
type content [2][]byte

func newContent() content { return content{make([]byte, testSize), make([]byte, testSize)} }

func (c content) apply(r journal.Record) {
	b := c[r.Volume-1][r.Offset : r.Offset+r.Length]
	clear(b)
	copy(b, r.Payload)
}

func compare(p *Pool, want content) error {
	for i, w := range want {
		got := make([]byte, testSize)
		v := p.Volume(array.VolumeID(i + 1))
		if v == nil {
			return fmt.Errorf("volume %d is gone", i+1)
		}
		if err := v.Read(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, w) {
			at := 0
			for got[at] == w[at] {
				at++
			}
			return fmt.Errorf("volume %d differs at byte %d (page %d)", i+1, at, at/block.Page)
		}
	}
	return nil
}

func check(p *Pool) (err error) {
	e := p.Check(true, func(s string) { err = fmt.Errorf("check: %s", s) })
	if e != nil {
		return e
	}
	return err
}

// frozen is a disk and map as a power cut left them.
type frozen struct {
	disk    *vfs.Mem
	mapFile []byte
	places  int // how many records had been applied
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

// cutPower applies records with destages between, and returns what power cuts at
// the operations on the page file left, with the map before and after each commit.
func cutPower(t *testing.T, seed uint64, records []journal.Record, forgetful bool) []frozen {
	t.Helper()
	dir := t.TempDir()
	disk := vfs.NewMem()
	p, err := OpenPool(disk, "pool", testOptions(dir))
	ok(t, err)
	for id := range array.VolumeID(2) {
		_, err := p.Create(VolumeSpec{ID: id + 1, Group: 1, Size: testSize})
		ok(t, err)
	}
	if forgetful {
		disk.IgnoreSync()
	}
	rng := rand.New(rand.NewPCG(seed, 9))
	var out []frozen
	applied := 0
	cut := func() {
		keep := []int{0, 50, 100}[rng.IntN(3)]
		out = append(out, frozen{disk.CrashClone(rng, keep), copyMap(p.db), applied})
	}
	disk.SetHook(func(op vfs.Op) {
		if rng.IntN(2) == 0 {
			cut()
		}
	})
	for _, r := range records {
		ok(t, p.Volume(r.Volume).Apply(r))
		applied++
		if rng.IntN(6) == 0 {
			ok(t, p.Flush(1))
			cut()
		}
	}
	disk.SetHook(nil)
	ok(t, p.Close())
	return out
}

func (f frozen) open(t *testing.T) (*Pool, error) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "map"), f.mapFile, 0o600); err != nil {
		return nil, err
	}
	return OpenPool(f.disk, "pool", testOptions(dir))
}

// verify opens a disk after a power cut, replays the journal's records, and
// compares with the model; then once more with all of it on pages.
func (f frozen) verify(t *testing.T, records []journal.Record) (err error) {
	p, err := f.open(t)
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
	want := newContent()
	for _, r := range records[:f.places] {
		want.apply(r)
	}
	for _, r := range records[p.Destaged(1):f.places] {
		if err := p.Volume(r.Volume).Apply(r); err != nil {
			return err
		}
	}
	if err := compare(p, want); err != nil {
		return fmt.Errorf("after replay: %w", err)
	}
	if err := p.Flush(1); err != nil {
		return err
	}
	if err := compare(p, want); err != nil {
		return fmt.Errorf("after replay and destage: %w", err)
	}
	return check(p)
}

func someRecords(seed uint64, n int) []journal.Record {
	rng := rand.New(rand.NewPCG(seed, 4))
	var rs []journal.Record
	for i := range n {
		rs = append(rs, randomRecord(rng, array.Place(i+1)))
	}
	return rs
}

// TestPowerCuts: whatever the moment of a power cut, pages and the journal's
// records behind the destaged place give what was applied.
func TestPowerCuts(t *testing.T) {
	total := 0
	for seed := range uint64(4) {
		records := someRecords(seed, 60)
		for i, f := range cutPower(t, seed, records, false) {
			if err := f.verify(t, records); err != nil {
				t.Fatalf("seed %d, cut %d after %d records: %v", seed, i, f.places, err)
			}
			total++
		}
	}
	if total < 50 {
		t.Fatalf("only %d power cuts", total)
	}
	t.Logf("%d power cuts", total)
}

func TestForgetfulDiskIsCaught(t *testing.T) {
	records := someRecords(1, 60)
	caught := 0
	for _, f := range cutPower(t, 1, records, true) {
		if f.verify(t, records) != nil {
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
