// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

const (
	theGroup = array.GroupID(1)
	volumes  = 3
	size     = 24*block.Page + 3*block.Sector
	sectors  = size / block.Sector
)

// engine is a journal and a pool on one simulated disk, with the map beside it. They lie
// in directories, or on one device each.
type engine struct {
	disk    *vfs.Mem
	device  *vfs.Partitioned
	mapFile string
	jnl     *journal.Journal
	pool    *volume.Pool
	// acked is the last place that was said to be durable.
	acked   atomic.Uint64
	durable chan struct{}
	failed  atomic.Pointer[error]
	// turn is held by whoever writes the history and the pages, but not while it waits
	// for the journal: so a cut sees disk, map and history of one moment.
	turn sync.Mutex
	// waiting says that whoever writes the history waits for the journal.
	waiting atomic.Bool
}

const (
	journalSize = 6 << 18
	poolSize    = 384 * block.Page
	// The devices' names begin like the directories'.
	journalDevice, poolDevice = "journal.dev", "pool.dev"
)

// devices puts blank devices on a disk.
func devices(disk *vfs.Mem) error {
	for name, size := range map[string]int64{journalDevice: journalSize + vfs.Overhead, poolDevice: poolSize + block.Page} {
		f, err := disk.Open(name, vfs.Create)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Allocate(size), f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return disk.SyncDir(".")
}

// open opens what is on the disk: on devices if it has some.
func open(disk *vfs.Mem, mapFile string) (e *engine, err error) {
	e = &engine{disk: disk, mapFile: mapFile, durable: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	var files vfs.FS = disk
	dir, pages := "journal", ""
	if slices.Contains(disk.Names(), journalDevice) {
		if e.device, err = vfs.OpenPartitioned(disk, journalDevice, 0); err != nil {
			return e, err
		}
		files, dir, pages = e.device, ".", poolDevice
	}
	e.pool, err = volume.OpenPool(disk, "pool", volume.Options{
		MapFile: mapFile, Pages: pages, Limit: poolSize, Grow: 64 * block.Page, Age: -1, NoSync: true, AtOnce: 1, Outside: block.Page,
	})
	if err != nil {
		return e, err
	}
	e.jnl, err = journal.Open(files, dir, journal.Options{
		Places: volume.Pools{e.pool}, Limit: journalSize, SegmentSize: 1 << 18, MaxPayload: 48 << 10, MaxGroups: 4, NoPrefill: true,
		Durable: func(ds []journal.Durable) {
			for _, d := range ds {
				e.acked.Store(uint64(d.Pos.Place))
			}
			select {
			case e.durable <- struct{}{}:
			default:
			}
		},
		Failed: func(err error) { e.failed.Store(&err) },
	})
	return e, err
}

// begin makes the volumes on an empty disk.
func (e *engine) begin() error {
	for id, how := range [volumes]volume.Provisioning{volume.Thin, volume.Dedup, volume.Thin} {
		// The last has its large writes put on pages at once.
		s := volume.VolumeSpec{ID: array.VolumeID(id + 1), Group: theGroup, Size: size, Provisioning: how, Compress: id < 2}
		if _, err := e.pool.Create(s); err != nil {
			return err
		}
	}
	return e.jnl.SetBase(theGroup, array.Position{})
}

func (e *engine) close() error {
	var errs []error
	if e.jnl != nil {
		errs = append(errs, e.jnl.Close())
	}
	if e.pool != nil {
		errs = append(errs, e.pool.Close())
	}
	if e.device != nil {
		errs = append(errs, e.device.Close())
	}
	return errors.Join(errs...)
}

// append journals records and waits until the last of them is durable. The caller has
// the turn.
func (e *engine) append(recs []journal.Record) error {
	if err := e.jnl.Append(recs...); err != nil {
		return err
	}
	e.turn.Unlock()
	e.waiting.Store(true)
	defer func() {
		e.waiting.Store(false)
		e.turn.Lock()
	}()
	for last := recs[len(recs)-1].Pos.Place; array.Place(e.acked.Load()) < last; {
		<-e.durable
		if err := e.failed.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// makeRoom lets the journal go on where chance left too much in it. The caller has the
// turn.
func (e *engine) makeRoom() error {
	const batch = 4 * (64 << 10) // more than one takes
	for {
		if _, room := e.jnl.Usage(); room >= batch {
			return nil
		}
		if err := e.pool.Flush(theGroup); err != nil {
			return err
		}
		e.jnl.Release(theGroup, e.pool.Destaged(theGroup))
		e.turn.Unlock() // the journal frees segments when it has written so
		runtime.Gosched()
		e.turn.Lock()
		if err := e.failed.Load(); err != nil {
			return *err
		}
	}
}

// frozen is what a power cut left: the disk, and the map's file.
type frozen struct {
	disk    *vfs.Mem
	mapped  []byte
	acked   array.Place
	written int // records handed to the journal
}

// freeze takes the disk as a power cut now would leave it, with keep percent of what
// was not told to stay.
func (e *engine) freeze(rng *rand.Rand, keep, written int) (frozen, error) {
	b, err := os.ReadFile(e.mapFile)
	return frozen{e.disk.CrashClone(rng, keep), b, array.Place(e.acked.Load()), written}, err
}

// verify opens what is left and compares it with the history. It says what was lost,
// or what is inconsistent.
func (f frozen) verify(dir string, history []journal.Record) error {
	mapFile := filepath.Join(dir, "map")
	if err := os.WriteFile(mapFile, f.mapped, 0o600); err != nil {
		return err
	}
	e, err := open(f.disk, mapFile)
	if err != nil {
		return err
	}
	return errors.Join(e.judge(f, history), e.close())
}

func (e *engine) judge(f frozen, history []journal.Record) error {
	if err := e.check(); err != nil {
		return err
	}
	base, last, ok := e.jnl.Bounds(theGroup)
	if !ok && f.acked == 0 {
		return nil
	}
	destaged := e.pool.Destaged(theGroup)
	switch {
	case last.Place < f.acked:
		return fmt.Errorf("LOST: %d was acknowledged, the journal ends at %d", f.acked, last.Place)
	case int(last.Place) > f.written:
		return fmt.Errorf("the journal ends at %d; only %d records were written", last.Place, f.written)
	case base.Place > destaged:
		return fmt.Errorf("LOST: the journal begins after %d, but only what was written up to %d is on pages", base.Place, destaged)
	}
	err := e.jnl.Read(theGroup, base.Place+1, func(r journal.Record) error {
		if err := same(r, history); err != nil {
			return err
		}
		if r.Pos.Place <= destaged {
			return nil
		}
		if err := e.apply(r); err != nil || r.Pos.Place%7 != 0 {
			return err
		}
		return e.pool.Flush(theGroup) // as an array does that has much to replay
	})
	if err != nil {
		return err
	}
	want := newContent()
	for _, r := range history[:last.Place] {
		want.apply(r)
	}
	if err := want.compare(e.pool, false); err != nil {
		return fmt.Errorf("after replay: %w", err)
	}
	if err := e.pool.Flush(theGroup); err != nil {
		return err
	}
	if err := want.compare(e.pool, true); err != nil {
		return fmt.Errorf("on pages: %w", err)
	}
	// The journal has it all still: the other array may need it.
	if err := e.jnl.Read(theGroup, base.Place+1, func(r journal.Record) error { return same(r, history) }); err != nil {
		return fmt.Errorf("once it is on pages: %w", err)
	}
	return e.check()
}

// same compares a record of the journal with what was written.
func same(r journal.Record, history []journal.Record) error {
	want := history[r.Pos.Place-1]
	if r.Kind != want.Kind || r.Volume != want.Volume || r.Offset != want.Offset || r.Length != want.Length || !bytes.Equal(r.Payload, want.Payload) {
		return fmt.Errorf("record %d is another one", r.Pos.Place)
	}
	return nil
}

// apply takes up a record: an entry says that a snapshot is made.
func (e *engine) apply(r journal.Record) error {
	v := e.pool.Volume(r.Volume)
	if r.Kind == journal.Entry {
		err := v.Freeze(r.Pos.Place, snapshotAt(r.Pos.Place))
		e.pool.Advance(theGroup, r.Pos.Place)
		return err
	}
	return v.Apply(r)
}

// snapshotAt names the snapshot that is made at a place.
func snapshotAt(p array.Place) array.VolumeID { return 1000 + array.VolumeID(p) }

func (e *engine) check() error {
	var wrong []error
	err := e.pool.Check(true, func(s string) { wrong = append(wrong, errors.New(s)) })
	return errors.Join(append(wrong, err)...)
}

// content is the model: the bytes of the volumes and snapshots.
type content map[array.VolumeID][]byte

func newContent() content {
	c := content{}
	for id := range array.VolumeID(volumes) {
		c[id+1] = make([]byte, size)
	}
	return c
}

func (c content) apply(r journal.Record) {
	if r.Kind == journal.Entry {
		c[snapshotAt(r.Pos.Place)] = bytes.Clone(c[r.Volume])
		return
	}
	b := c[r.Volume][r.Offset : r.Offset+r.Length]
	clear(b)
	copy(b, r.Payload)
}

// compare looks at every volume, and at every snapshot that is made; at the end all are.
func (c content) compare(p *volume.Pool, end bool) error {
	got := make([]byte, size)
	for id, want := range c {
		v := p.Volume(id)
		if v == nil && id > volumes && !end {
			continue
		}
		if v == nil {
			return fmt.Errorf("volume %v is gone", id)
		}
		if err := v.Read(got, 0); err != nil {
			return err
		}
		for at := range got {
			if got[at] != want[at] {
				return fmt.Errorf("volume %v differs at byte %d, page %d", id, at, at/block.Page)
			}
		}
	}
	return nil
}

// randomRecord is a write, a zeroing or a snapshot.
func randomRecord(rng *rand.Rand, p array.Place) journal.Record {
	r := journal.Record{Group: theGroup, Pos: array.Position{Epoch: 1, Term: 1, Place: p}, Kind: journal.Data, Volume: array.VolumeID(1 + rng.IntN(volumes))}
	if rng.IntN(20) == 0 {
		r.Kind = journal.Entry
		return r
	}
	at := rng.Int64N(sectors)
	n := 1 + rng.Int64N(min(sectors-at, 80))
	if rng.IntN(40) == 0 {
		at, n = 0, sectors
	}
	r.Offset, r.Length = at*block.Sector, n*block.Sector
	if rng.IntN(4) == 0 || n == sectors {
		r.Kind = journal.Zeros
		return r
	}
	r.Payload = make([]byte, r.Length)
	for i := range r.Payload[:rng.Int64N(r.Length+1)] { // so it packs well, badly or not
		r.Payload[i] = byte(rng.Uint32())
	}
	return r
}
