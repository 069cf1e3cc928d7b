// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/store"
	"github.com/perdure/perdure/internal/vfs"
)

// Options says how a pool works.
type Options struct {
	// MapFile is where the page map lies, for the operating system.
	MapFile string
	// Pages is the name in the file system of a device, or a file of a given size, for the
	// pages; empty: a file in the pool's directory, which grows.
	Pages string
	// Limit is how many bytes the page file may grow to, if the file system has them.
	Limit int64
	// Overlay bounds the memory of what is applied and not destaged, 0 for 256 MiB.
	Overlay int64
	// Cache is how much memory leaves of the map may take, 0 for 32 MiB.
	Cache int64
	// Keep is how much memory blocks that hosts read may take, 0 for none.
	Keep int64
	// Age is how long something stays in memory only; 0 for a second, negative to
	// destage only by Flush.
	Age time.Duration
	// Grow is how much the page file grows at a time, 0 for 64 MiB.
	Grow int64
	// OnDestaged is told that all of a group up to a place is on pages.
	OnDestaged func(array.GroupID, array.Place)
	// OnSnapshot is told that a snapshot is made and can be read.
	OnSnapshot func(VolumeSpec)
	// OnLevel is told when the pool's fullness reaches, or falls below, 75, 85 or 95
	// percent or IsFull: which of these it has reached now, 0 for none.
	OnLevel func(percent int)
	// OnRoom is told when memory has become free. It must not wait, nor use the pool.
	OnRoom func()
	// Alarm is told why a destage failed. Nothing is lost: it is tried again.
	Alarm func(error)
	// OnBad is told of a bad page that a destage met and went on with. It must not wait,
	// nor use the pool.
	OnBad func(Bad)
	// Batch is how many pages one transaction of the map takes, for which room in memory is
	// kept; 0 for 1024.
	Batch int
	// AtOnce is how many pages a destage reads or writes at a time; 0 for 32.
	AtOnce int
	// Outside is from how many bytes on the payload of a record is put on pages at once,
	// instead of into the journal first; 0 for 128 KiB, negative for none.
	Outside int
	// Former writes a map of the format before, as earlier programs do, and refuses any
	// other. It is for tests of upgrades.
	Former bool
	// NoChecksum believes whatever the disk returns. DAMAGE IS THEN SERVED: it is for
	// tests that must notice.
	NoChecksum bool
	// NoSync leaves out flushing the map, and keeping room of the disk for it. A CRASH THEN
	// LOSES PAGES: it is for tests that simulate one.
	NoSync bool
}

// VolumeSpec is what a pool knows of a volume or snapshot.
type VolumeSpec struct {
	ID    array.VolumeID
	Group array.GroupID
	Size  int64
	// Provisioning and Compress say how pages are stored that are written from now on.
	Provisioning Provisioning `json:",omitempty"`
	Compress     bool         `json:",omitempty"`
	// SetAside is how much of a fully provisioned volume's size was set aside.
	SetAside int64 `json:",omitempty"`
	// Base is the snapshot that a volume was made from.
	Base array.VolumeID `json:",omitempty"`
	// Frozen is the place of the last snapshot that was made of it.
	Frozen array.Place `json:",omitempty"`
	// Of is the volume that a snapshot was made of, Place when in its group's order.
	Of    array.VolumeID `json:",omitempty"`
	Place array.Place    `json:",omitempty"`
	// Removing says that the volume's pages are being given back.
	Removing bool `json:",omitempty"`
}

// Pool keeps volumes in one page file and one map.
type Pool struct {
	o     Options
	pages vfs.File
	db    *bolt.DB
	kick  chan struct{}
	stop  chan struct{}
	ended chan struct{}
	// owners had no extents left, and serve again; scratch keeps page buffers for reads. Both
	// are apart: the runtime has a list of every sync.Pool, and would keep this whole one with
	// it for two more collections after Close.
	owners, scratch *sync.Pool
	// closing makes a second Close harmless.
	closing sync.Once
	cache   *cache
	kept    *kept      // nil: nothing is kept
	single  sync.Mutex // serialises whatever changes the map; taken before mu and volumes' locks

	// staging, packing and small, rooms for pages on their way, are of the holder of
	// single, like broken.
	staging, packing []byte
	small            [][]byte
	broken           error
	made             []VolumeSpec // snapshots that OnSnapshot is to be told of

	// flushing is read-locked while the page file is flushed, failures counts those that
	// failed.
	flushing sync.RWMutex
	failures atomic.Uint64

	room store.Room // of the map's file

	// growing guards fileSize.
	growing  sync.Mutex
	fileSize int64
	id       poolID // what the journal calls it

	// telling guards told, the level that OnLevel was told of.
	telling sync.Mutex
	told    int

	// shape counts the changes of what volumes read through each other.
	shape atomic.Uint64

	mu sync.Mutex
	// volumes are those that can be used, all also those being removed.
	volumes, all map[array.VolumeID]*Volume
	chains       map[array.VolumeID]chain
	use          map[array.VolumeID]usage
	full         map[array.VolumeID]int64 // units to set aside for each fully provisioned volume
	aside        int64                    // units set aside and not used yet
	pending      int64                    // units that what isn't on pages may take
	cap          int64                    // units that hosts may take, 0 for no such limit; see SetCap
	ground       Ground                   // what the page file lies on, as last measured
	unread       map[pageName]int         // how often pages gave an error to a destage
	groups       map[array.GroupID]*groupPlaces
	units        units
	overlay      int64 // bytes in overlays
	held         int64 // pages that the journal holds
	starved      bool  // Room said no since OnRoom was last called
}

// groupPlaces is how far a group is, in memory and on pages.
type groupPlaces struct {
	applied, destaged array.Place
	state             resyncState
	// opened is how much was on pages when the pool was opened: up to there records may be
	// applied again.
	opened array.Place
}

// record returns what the map is to know of a group. p.mu is held.
func (p *Pool) record(id array.GroupID) groupRecord {
	g := p.groups[id]
	if g == nil {
		return groupRecord{}
	}
	return groupRecord{Destaged: g.destaged, State: g.state}
}

// pageName names a page, maxUnread bounds how many of them give errors.
type pageName struct {
	v    array.VolumeID
	page int64
}

const maxUnread = 1024

// MaxSize is how large a volume may be.
const MaxSize = 1 << 50

// OpenPool opens the pool in dir of fs, which it makes if there is none.
func OpenPool(fs vfs.FS, dir string, o Options) (*Pool, error) {
	if o.Overlay == 0 {
		o.Overlay = 256 << 20
	}
	if o.Age == 0 {
		o.Age = time.Second
	}
	if o.Grow == 0 {
		o.Grow = 64 << 20
	}
	if o.Batch <= 0 {
		o.Batch = 1024
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 32
	}
	if o.Outside == 0 {
		o.Outside = 128 << 10
	}
	p := &Pool{
		owners: &sync.Pool{New: func() any { return new(owner) }}, scratch: new(sync.Pool),
		o: o, kick: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		staging: vfs.NewBuffer(o.Batch * block.Page),
	}
	p.empty()
	if err := store.Guard(func() error { return p.open(fs, dir) }); err != nil {
		return nil, fmt.Errorf("open pool %s: %w", dir, errors.Join(err, p.closeFiles()))
	}
	go p.background()
	return p, nil
}

// empty makes the tables.
func (p *Pool) empty() {
	p.volumes, p.all = map[array.VolumeID]*Volume{}, map[array.VolumeID]*Volume{}
	p.chains, p.full = map[array.VolumeID]chain{}, map[array.VolumeID]int64{}
	p.groups, p.unread = map[array.GroupID]*groupPlaces{}, map[pageName]int{}
	p.cache = newCache(cmp.Or(p.o.Cache, 32<<20))
	p.kept = newKept(p.o.Keep)
}

func (p *Pool) open(fs vfs.FS, dir string) (err error) {
	if err = fs.MkdirAll(dir); err != nil {
		return err
	}
	p.db, err = store.OpenFile(p.o.MapFile, bolt.Options{
		Timeout: time.Second, NoSync: p.o.NoSync, FreelistType: bolt.FreelistMapType, InitialMmapSize: 64 << 20,
	})
	if err != nil {
		return fmt.Errorf("open map %s: %w", p.o.MapFile, err)
	}
	if err = p.openPages(fs, path.Join(dir, "pages"), p.o.Pages, vfs.Create|vfs.Direct); err != nil {
		return err
	}
	if err = fs.SyncDir(dir); err != nil {
		return err
	}
	if err = p.db.Update(p.prepareMap); err != nil {
		return err
	}
	if err = p.name(); err != nil {
		return err
	}
	if err = p.db.View(p.load); err != nil {
		return err
	}
	if err = p.db.View(p.whole); err != nil {
		return err
	}
	p.units.limit = p.configured()
	p.measure()
	if err = p.matchDevice(p.o.Pages); err != nil {
		return err
	}
	return p.resume()
}

// load reads volumes, groups and allocation.
func (p *Pool) load(tx *bolt.Tx) error {
	if err := p.units.load(tx); err != nil {
		return err
	}
	var err error
	if p.use, err = loadUsage(tx); err != nil {
		return err
	}
	err = tx.Bucket([]byte(groupBucket)).ForEach(func(k, v []byte) error {
		var r groupRecord
		v, err := unseal(groupBucket, k, v, 0)
		if err == nil {
			err = json.Unmarshal(v, &r)
		}
		if err != nil || len(k) != 8 {
			return fmt.Errorf("map has a damaged group %x: %w", k, err)
		}
		p.groups[array.GroupID(binary.BigEndian.Uint64(k))] = &groupPlaces{applied: r.Destaged, destaged: r.Destaged, opened: r.Destaged, state: r.State}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(volumeBucket)).ForEach(func(k, v []byte) error {
		var s VolumeSpec
		v, err := unseal(volumeBucket, k, v, 0)
		if err == nil {
			err = json.Unmarshal(v, &s)
		}
		if err != nil || len(k) != 8 {
			return fmt.Errorf("map has a damaged volume %x: %w", k, err)
		}
		n := newVolume(p, s)
		p.link(n)
		if s.Removing {
			n.gone = true
			return nil
		}
		p.volumes[s.ID] = n
		p.setAside(s)
		if p.groups[s.Group] == nil {
			p.groups[s.Group] = &groupPlaces{}
		}
		return nil
	})
}

// resume finishes what a crash interrupted: removals, and ends of resyncs.
func (p *Pool) resume() error {
	for _, v := range p.all {
		if v.gone {
			if err := p.erase(v); err != nil {
				return err
			}
		}
	}
	for id, g := range p.groups {
		if err := p.finishState(id, g.state); err != nil {
			return err
		}
	}
	return nil
}

// Volume returns a volume, nil if there is none.
func (p *Pool) Volume(id array.VolumeID) *Volume {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volumes[id]
}

// Destaged returns the place up to which all of a group is on pages: where replay
// of its journal begins after a restart.
func (p *Pool) Destaged(id array.GroupID) array.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.groups[id]; g != nil {
		return g.destaged
	}
	return 0
}

// Furthest is Destaged: one pool has all of a group up to the same place.
func (p *Pool) Furthest(id array.GroupID) array.Place { return p.Destaged(id) }

// Room reports whether n more bytes may be applied. If not, OnRoom is called when
// it is worth asking again.
func (p *Pool) Room(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.overlay+cost(n) <= p.o.Overlay {
		return true
	}
	p.starved = true
	p.wake()
	return false
}

func (p *Pool) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// cost is the memory reckoned for a record of n bytes.
func cost(n int) int64 { return int64(n) + 256 }

// Close stops destaging and closes the files. What isn't on pages stays in the
// journal.
func (p *Pool) Close() error {
	p.closing.Do(func() { close(p.stop) })
	<-p.ended
	p.single.Lock()
	defer p.single.Unlock()
	return p.closeFiles()
}

func (p *Pool) closeFiles() error {
	var errs []error
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	if p.pages != nil {
		errs = append(errs, p.pages.Close())
	}
	return errors.Join(errs...)
}
