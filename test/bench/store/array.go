// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/boottime"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

// An array's defaults, as its configuration has them.
const (
	journalSize = 1 << 30
	buffersSize = 512 << 20
	overlaySize = 256 << 20
	poolLimit   = 1 << 40
)

// system is the array's id; it is in the names of its objects.
const system = array.SystemID(1)

// engine is an array without its front end: store, journal, pool and groups, put
// together as the node does it.
type engine struct {
	store   *store.Store
	buffers *block.Pool
	jnl     *journal.Journal
	pool    *volume.Pool
	failed  atomic.Pointer[error]

	mu     sync.RWMutex
	groups map[array.GroupID]*group.Group
}

// openEngine opens the array in dir, or makes it.
func openEngine(dir string, journalLimit int64) (*engine, error) {
	e := &engine{buffers: block.NewPool(buffersSize), groups: map[array.GroupID]*group.Group{}}
	err := e.open(dir, journalLimit)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *engine) open(dir string, journalLimit int64) (err error) {
	files := map[string]string{"journal": "", "cpg": ""}
	for name := range files {
		files[name] = filepath.Join(dir, name)
		if err := os.MkdirAll(files[name], 0o700); err != nil {
			return err
		}
	}
	if e.store, err = store.Open(filepath.Join(dir, "array.db")); err != nil {
		return err
	}
	e.pool, err = volume.OpenPool(vfs.NewOS(files["cpg"]), ".", volume.Options{
		MapFile: filepath.Join(files["cpg"], "map.db"), Limit: poolLimit, Overlay: overlaySize, OnRoom: e.wake, Alarm: e.fail,
	})
	if err != nil {
		return err
	}
	e.jnl, err = journal.Open(vfs.NewOS(files["journal"]), ".", journal.Options{
		Limit: journalLimit, Durable: e.durable, Failed: e.fail, Places: volume.Pools{e.pool},
	})
	return err
}

func (e *engine) fail(err error) { e.failed.CompareAndSwap(nil, &err) }

// failure returns what broke the journal or the pool.
func (e *engine) failure() error {
	if err := e.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (e *engine) durable(ds []journal.Durable) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, d := range ds {
		if g := e.groups[d.Group]; g != nil {
			g.JournalHolds(d.Pos.Place)
		}
	}
}

func (e *engine) wake() {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, g := range e.groups {
		g.Wake()
	}
}

// prepare makes a volume of a group in the pool.
func (e *engine) prepare(g array.GroupID, n uint32, size int64, s volume.VolumeSpec) error {
	s.ID, s.Group, s.Size = array.MakeVolumeID(system, n), g, size
	_, err := e.pool.Create(s)
	return err
}

// start opens a group that lives on this array alone, with its volumes, and serves it.
func (e *engine) start(id array.GroupID, volumes ...uint32) ([]*group.Unit, error) {
	g, err := group.Open(group.Config{
		ID: id, Name: id.String(), Self: array.SideA, Ports: [2][]uint16{{1}, {257}},
		Log: e.jnl, Space: e.jnl, Pages: e.pool, Copy: e.pool, Buffers: e.buffers, Keep: keep{e.store},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: boottime.Now,
	}, arb.First(array.SideA, 1))
	if err != nil {
		return nil, err
	}
	var units []*group.Unit
	for _, n := range volumes {
		v := array.MakeVolumeID(system, n)
		d := e.pool.Volume(v)
		if d == nil {
			return nil, fmt.Errorf("volume %s is not in the pool", v)
		}
		w := array.MakeWWN(v)
		u, err := g.AddVolume(scsi.Identity{WWN: w, Serial: w.String()[16:], Name: v.String(), Volume: v}, d, 0)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	e.mu.Lock()
	e.groups[id] = g
	e.mu.Unlock()
	g.Start()
	return units, nil
}

// close ends the array in order.
func (e *engine) close() error {
	e.mu.Lock()
	groups := e.groups
	e.groups = map[array.GroupID]*group.Group{}
	e.mu.Unlock()
	for _, g := range groups {
		g.Close()
	}
	errs := []error{e.failure()}
	if e.jnl != nil {
		errs = append(errs, e.jnl.Close())
	}
	if e.pool != nil {
		errs = append(errs, e.pool.Close())
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	return errors.Join(errs...)
}

// keep is the groups' small facts in the array's store.
type keep struct{ s *store.Store }

type fact struct {
	Value []byte `json:"value"`
}

func (k keep) bucket() store.Bucket[fact] { return store.Bucket[fact]{Name: "facts"} }

func (k keep) Put(g array.GroupID, name string, value []byte) error {
	it, err := k.bucket().Item(g.String()+"/"+name, fact{value})
	if err != nil {
		return err
	}
	return k.s.Batch(it)
}

func (k keep) Get(g array.GroupID, name string) (value []byte, err error) {
	err = k.s.View(func(t *store.Tx) error {
		v, _, err := k.bucket().Get(t, g.String()+"/"+name)
		value = v.Value
		return err
	})
	return value, err
}

// freshOp is a command that has arrived just now.
func freshOp(u *group.Unit, id uint64) *scsi.Op {
	return &scsi.Op{ID: id, Arrived: boottime.Now(), Generation: u.Reservations().Revision}
}

// await calls a command and waits for its end.
func await(command func(done func(error))) error {
	ended := make(chan error, 1)
	command(func(err error) { ended <- err })
	return <-ended
}

// served waits until the unit answers a read: all that was committed is applied then.
func served(u *group.Unit) error {
	dst := vfs.NewBuffer(block.Align)
	for id := uint64(math.MaxUint32); ; id++ {
		err := await(func(done func(error)) { u.Read(freshOp(u, id), 0, dst, done) })
		if array.KindOf(err) != array.Busy {
			return err
		}
	}
}
