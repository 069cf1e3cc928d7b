// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/pair"
	"github.com/perdure/perdure/internal/scsi"
	"github.com/perdure/perdure/internal/vfs"
	"github.com/perdure/perdure/internal/volume"
)

const (
	groupID = array.GroupID(1)
	maxLate = 4
	volumes = 2
	size    = 64 * block.Page
)

// machine is one array's disks, which outlive its processes.
type machine struct {
	side  array.Side
	fs    *vfs.Mem
	maps  string // the file of the pool's map
	dir   string
	boots int
	mu    sync.Mutex
	facts map[string][]byte
	p     *process // nil while it is down
	past  *disks   // as they once were
	// age and limit, if set, are how long what is applied stays in memory only, and how
	// many bytes of pages there may be.
	age   time.Duration
	limit int64
	// doubted: they were put back as they were, so the next process is told.
	doubted bool
	// refuses: the store takes nothing until the next process.
	refuses atomic.Bool
	// former: its programs are those of a release before, which write a former format.
	former bool
	clock  atomic.Pointer[clock]
}

// disks are what an array keeps.
type disks struct {
	fs    *vfs.Mem
	maps  string // the map's file
	facts map[string][]byte
	// former: their format is that of a release before.
	former bool
}

// keep copies the disks.
func (w *world) keep(m *machine) {
	m.past = &disks{fs: m.fs.CrashClone(w.rng, 100), maps: filepath.Join(m.dir, "past."+strconv.Itoa(m.boots)), facts: maps.Clone(m.facts), former: m.former}
	w.must(copyFile(m.maps, m.past.maps))
}

// putBack turns an array's disks to what they were at an earlier time, or notes them
// for a later one, and reports whether it did. As with any backup, that loses nothing only while the other array
// has all.
func (w *world) putBack(m *machine) bool {
	if synctest.Wait(); m.past == nil {
		w.keep(m)
		return false
	}
	other := w.m[m.side.Other()].p
	if other == nil || m.p == nil {
		return false
	}
	i, err := other.g.Info()
	w.must(err)
	own, err := m.p.g.Info()
	w.must(err)
	if own.Record.ID != i.Record.ID || i.Record.Members != array.Both || i.Record.Rule != arb.Majority && !(i.Synced && i.Record.DecidedBy(other.m.side)) {
		return false
	}
	if i.End.Place < own.Commit {
		return false // put back itself a moment ago, and not yet left out
	}
	w.kill(m, true)
	w.must(copyFile(m.past.maps, m.maps))
	m.fs, m.facts, m.former, m.doubted, m.past, w.turned = m.past.fs, m.past.facts, m.past.former, true, nil, true
	w.tracef("the disks of %v are put back as they once were", m.side)
	w.boot(m)
	return true
}

var (
	putTakes time.Duration
	slowDisk atomic.Int32
)

// process is one life of an array.
type process struct {
	w       *world
	m       *machine
	life    int
	jnl     *journal.Journal
	pool    *volume.Pool
	g       *group.Group
	units   []*group.Unit
	lease   pair.Leases
	buffers *block.Pool
	heard   atomic.Int64  // the newest reading of the other's clock
	number  atomic.Uint64 // of the contact, as the other repeats it
	granted atomic.Uint64 // the newest period in which this array granted
	dead    atomic.Bool   // killed: nothing it does reaches anybody any more
	silent  bool
	told    bool // that nobody answers since the start
	// starved is until when its link and witness clients get no turn: they hear and
	// say nothing, and find nobody silent. The group itself goes on.
	starved time.Time
	// stuckUntil is until when its journal counts as stuck, stuck whether that was told.
	stuckUntil time.Time
	stuck      bool
	// slowUntil is until when its disk takes flush for each flush; stopped until when the
	// whole process stands still. Both in nanoseconds of the day.
	slowUntil, flush, stopped atomic.Int64
	born                      int64
	// The witness: what is to be asked, and whether an answer is awaited.
	swap         *arb.Swap
	look, asking bool
	asked        time.Time
}

func (p *process) start() array.StartID {
	return array.StartID{Count: uint64(p.life), Nonce: uint64(p.life)}
}

// Put and Get are the group's small facts.
func (p *process) Put(_ array.GroupID, name string, value []byte) error {
	if putTakes > 0 && !p.dead.Load() {
		time.Sleep(putTakes)
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.refuses.Load() {
		return errors.New("the disk refuses")
	}
	if !p.dead.Load() {
		p.m.facts[name] = append([]byte(nil), value...)
	}
	return nil
}

func (p *process) Get(_ array.GroupID, name string) ([]byte, error) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.m.facts[name], nil
}

// boot starts an array from its disks.
func (w *world) boot(m *machine) {
	m.boots++
	m.refuses.Store(false)
	p := &process{w: w, m: m, life: m.boots, silent: true, buffers: block.NewPool(16 << 20)}
	p.born = p.now()
	p.lease.Start(p.now(), pair.DefaultTiming())
	m.fs.SetHook(p.slowly)
	var err error
	p.jnl, err = journal.Open(m.fs, "journal", journal.Options{
		Limit: 4 << 20, SegmentSize: 512 << 10, MaxPayload: 64 << 10, MaxGroups: 4, NoPrefill: true,
		Durable: func(ds []journal.Durable) {
			for _, d := range ds {
				if slowDisk.Load() == int32(m.side)+1 && p.g != nil { // one flush takes all that waits
					go func() {
						time.Sleep(w.flushTakes - time.Since(p.w.start)%w.flushTakes)
						p.g.JournalHolds(d.Pos.Place)
					}()
					continue
				}
				if p.g != nil {
					p.g.JournalHolds(d.Pos.Place)
				}
			}
		},
		Failed: func(err error) { w.fellf("journal of %v: %v", m.side, err) },
	})
	w.must(err)
	p.pool, err = volume.OpenPool(m.fs, "pool", volume.Options{
		MapFile: m.maps, Limit: cmp.Or(m.limit, 64<<20), Overlay: 4 << 20, Keep: w.keeps, Age: cmp.Or(m.age, 200*time.Millisecond), Grow: 1 << 20, NoSync: true, AtOnce: 1, Batch: 64, Former: m.former,
		OnBad: func(b volume.Bad) {
			if p.g != nil {
				p.g.Damaged(b.Volume, b.Page)
			}
		},
		OnRoom: func() {
			if p.g != nil {
				p.g.Wake()
			}
		},
		Alarm: func(err error) {
			if array.KindOf(err) != array.Full || m.limit == 0 {
				w.fellf("pool of %v: %v", m.side, err)
			}
		},
	})
	w.must(err)
	p.g, err = group.Open(group.Config{
		ID: groupID, Name: "g", Self: m.side, Ports: [2][]uint16{{1}, {257}},
		Policy: w.policy(0),
		Log:    p.jnl, Space: p.jnl, Pages: p.pool, Copy: w.copier(p), Points: p.pool, Shadow: p.pool, Blurred: w.mutant == blurred, Buffers: p.buffers, Peer: way{p}, Keep: p,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Event: func(text string) {
			w.tracef("%v: %s", m.side, text)
			if strings.Contains(text, "no longer holds what it acknowledged") && !w.turned {
				w.fellf("%v says so of an array whose disks nobody put back: %s", m.side, text)
			}
		},
		Now: p.alive,
	}, arb.First(array.SideA, 1))
	w.must(err)
	for i := range volumes + w.late {
		p.add(array.VolumeID(i + 1))
	}
	p.g.Start()
	if m.doubted {
		p.g.Doubted(true)
		m.doubted = false
	}
	m.p = p
	w.tracef("%v starts, life %d", m.side, p.life)
}

// add makes a volume of the group a unit here.
func (p *process) add(id array.VolumeID) {
	if p.pool.Volume(id) == nil {
		_, err := p.pool.Create(volume.VolumeSpec{ID: id, Group: groupID, Size: size})
		p.w.must(err)
	}
	u, err := p.g.AddVolume(scsi.Identity{WWN: array.MakeWWN(id), Volume: id, Name: "v" + strconv.Itoa(int(id)-1)}, p.pool.Volume(id), 0)
	p.w.must(err)
	p.units = append(p.units, u)
}

// admit makes one more volume, which nobody writes to, part of the group.
func (w *world) admit() {
	if w.late == maxLate {
		return
	}
	w.late++
	w.tracef("a volume is admitted")
	w.each(func(p *process) { p.add(array.VolumeID(volumes + w.late)) })
}

func (w *world) policy(prefer array.Members) group.Policy {
	if w.period > 0 {
		return group.Policy{AutoRecover: true, WitnessStarted: true, Period: w.period, OverPeriodAlert: true}
	}
	return group.Policy{AutoFailover: true, WitnessStarted: true, AutoRecover: true, AutoSynchronize: true, ActiveActive: w.shared, Prefer: prefer}
}

// kill ends an array's process at this moment. With power its disks keep what was
// written; without, what was not synced is kept, lost or torn, by the dice.
func (w *world) kill(m *machine, power bool) {
	p := m.p
	if p == nil {
		return
	}
	p.dead.Store(true)
	m.p = nil
	if power {
		m.fs = m.fs.CrashClone(w.rng, 100)
	} else {
		m.fs = m.fs.CrashClone(w.rng, w.rng.IntN(101))
	}
	if w.mutant == noSync {
		m.fs.IgnoreSync()
	}
	m.fs.SetHook(nil)
	copied := filepath.Join(m.dir, "map."+strconv.Itoa(m.boots))
	w.must(copyFile(m.maps, copied))
	_ = os.Remove(m.maps)
	m.maps = copied
	w.tracef("%v is killed, power %v", m.side, power)
	w.mu.Lock()
	w.net.broke(m.side)
	w.mu.Unlock()
	w.each(func(p *process) { p.g.Lost() })
	w.bury(p)
}

// end closes what is still alive.
func (w *world) end() {
	for _, m := range w.m {
		if m.p != nil {
			w.bury(m.p)
		}
	}
}

// bury lets the goroutines of a dead process end; what they still do is lost.
func (w *world) bury(p *process) {
	p.g.Close()
	_ = p.pool.Close()
	_ = p.jnl.Close()
}

// copyFile copies what was written to a file: most of it only is set aside.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	for at := int64(0); ; {
		begin, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return out.Truncate(info.Size())
		}
		if err != nil {
			return err
		}
		if at, err = in.Seek(begin, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err = in.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err = out.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err = io.CopyN(out, in, at-begin); err != nil {
			return err
		}
	}
}
