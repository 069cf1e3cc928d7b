// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// maxReaders bounds the reads of one unit that are carried out at once.
const maxReaders = 64

// maxHeldReads bounds the reads that wait for the gate; beyond it BUSY.
const maxHeldReads = 1024

// heldReadEvery is how often held reads are looked at, beside each change of the gate.
const heldReadEvery = 20 * time.Millisecond

// Unit is one volume of the group, as a logical unit.
type Unit struct {
	g    *Group
	id   scsi.Identity
	disk Disk

	state atomic.Pointer[reservation.State]
	paths atomic.Pointer[alike]
	// flights are the records in the journal that are not applied.
	flights flights
	// reserving: a reservation entry is placed and not applied. The loop's.
	reserving bool
	// described: the description that it came with is the one that this array has, or an
	// older one. known: the other array has it, too. The loop's.
	described, known bool
	readers          chan struct{}

	mu       sync.Mutex
	watchers map[int]func(scsi.Notice)
	nextW    int
	heldRead []*reading
	armed    bool // a timer will look at the held reads
}

var _ scsi.Unit = (*Unit)(nil)

// AddVolume makes a volume of the group a unit. Before Start, or on a running group: that
// accepts nothing that changes the volume before the other array, if that is a member, has
// a description with it. since is the change of the first that this array has, which may be
// Described afterwards; 0: the other array needs none, or has it.
func (g *Group) AddVolume(id scsi.Identity, disk Disk, since uint64) (*Unit, error) {
	u := &Unit{g: g, id: id, disk: disk, watchers: map[int]func(scsi.Notice){}, readers: make(chan struct{}, maxReaders)}
	st, err := g.loadReservations(id.Volume)
	if err != nil {
		return nil, err
	}
	u.state.Store(st)
	if !g.started {
		u.described, u.known = true, since == 0
		g.units[id.Volume] = u
		return u, nil
	}
	return u, g.ask(func() {
		u.described, u.known = since == 0 || since == g.change, since == 0
		g.units[id.Volume] = u
		g.learnKnown()
		for _, e := range g.tail { // what came before the unit
			if e.rec.Volume == id.Volume {
				g.departs(e.rec)
			}
		}
		g.notifyPaths()
	})
}

// RemoveVolume takes a volume out; its watchers are told that it is gone.
func (g *Group) RemoveVolume(id array.VolumeID) error {
	return g.ask(func() {
		g.noteGone(id)
		if u := g.units[id]; u != nil {
			delete(g.units, id)
			delete(g.repeats, id)
			u.flights.clear()
			u.tell(scsi.Notice{Kind: scsi.Gone})
			g.place() // what waits is answered
		}
	})
}

// maxGone bounds the volumes and snapshots that are remembered as taken out: the log speaks of
// what went before the last thousands no more.
const maxGone = 1 << 13

func (g *Group) noteGone(id array.VolumeID) {
	if g.gone[id] {
		return
	}
	if g.gone[id], g.goneIn = true, append(g.goneIn, id); len(g.goneIn) > maxGone {
		delete(g.gone, g.goneIn[0])
		g.goneIn = append(g.goneIn[:0:0], g.goneIn[1:]...)
	}
}

// ThresholdCrossed tells hosts that the unit's pool is filling up: THIN PROVISIONING
// SOFT THRESHOLD REACHED (SBC-3, 4.7.3.7).
func (u *Unit) ThresholdCrossed() { u.tell(scsi.Notice{Kind: scsi.ThinSoft}) }

// Identity returns what the unit is called.
func (u *Unit) Identity() scsi.Identity { return u.id }

// Size returns the size in bytes.
func (u *Unit) Size() int64 { return u.disk.Spec().Size }

// Extent says whether the bytes from off are mapped.
func (u *Unit) Extent(off int64) (int64, bool) {
	n, mapped, err := u.disk.Extent(off)
	if err != nil {
		return u.Size() - off, true // a map that can't be read claims nothing free
	}
	return n, mapped
}

// Reservations returns the committed reservations.
func (u *Unit) Reservations() *reservation.State { return u.state.Load() }

func (u *Unit) generation() uint64 { return u.state.Load().Revision }

// Paths returns the present path states, as an initiator is to see them. Before the group
// has begun there are none.
func (u *Unit) Paths(initiator string) *scsi.Paths {
	a := u.paths.Load()
	if a == nil {
		return &scsi.Paths{}
	}
	return a[u.g.proximity(initiator)]
}

// Read fills dst if this array may serve; while that is undecided it waits.
func (u *Unit) Read(op *scsi.Op, off int64, dst []byte, done func(error)) {
	if off < 0 || off+int64(len(dst)) > u.Size() {
		done(array.Errorf(array.Range, "read of %d bytes at %d is beyond the end of volume %s, %d bytes", len(dst), off, u.id.Name, u.Size()))
		return
	}
	u.read(&reading{op: op, off: off, dst: dst, done: done})
}

// ReadNow is Read where that takes no more than to copy: this array serves, nothing is in
// flight over the range, and it needs no disk. What holds before it must hold after it.
func (u *Unit) ReadNow(off int64, dst []byte) bool {
	n := int64(len(dst))
	if off < 0 || off+n > u.Size() {
		return false
	}
	gt := u.g.gate.Load()
	period, ok := u.g.valid(gt)
	if !ok || u.flights.newest(off, n) != 0 || !u.disk.ReadCached(dst, off) {
		return false
	}
	now, ok := u.g.valid(gt)
	return ok && now == period
}

// reading is a host's read under way.
type reading struct {
	op   *scsi.Op
	off  int64
	dst  []byte
	done func(error)
	// gate is that of the present attempt, upTo the newest record that was in flight
	// over the range when it began.
	gate *gate
	upTo array.Place
}

func (u *Unit) read(r *reading) {
	gt := u.g.gate.Load()
	if gt.state == gateStandby || gt.state == gateLost {
		r.done(u.g.refusal(gt.state))
		return
	}
	period, ok := u.g.valid(gt)
	if !ok {
		u.hold(r)
		return
	}
	if r.gate != gt {
		r.gate, r.upTo = gt, u.flights.newest(r.off, int64(len(r.dst)))
	}
	if u.flights.any(r.off, int64(len(r.dst)), r.upTo) {
		u.hold(r)
		if !u.flights.any(r.off, int64(len(r.dst)), r.upTo) {
			u.retryReads() // it landed while this read was put aside
		}
		return
	}
	if u.disk.ReadCached(r.dst, r.off) {
		if now, ok := u.g.valid(gt); ok && now == period {
			r.done(nil)
			return
		}
	}
	go func() {
		err := u.fetch(r.dst, r.off)
		if now, ok := u.g.valid(gt); !ok || now != period {
			u.read(r) // another stretch began: what was read may be old
			return
		}
		if array.KindOf(err) == array.Busy && err != nil {
			u.hold(r)
			return
		}
		r.done(err)
	}()
}

// hold keeps a read until the gate changes, what it waits for lands, or it is too old.
func (u *Unit) hold(r *reading) {
	now := u.g.cfg.Now()
	switch {
	case r.op.Cancelled():
		r.done(array.Errorf(array.Aborted, "the command was aborted"))
		return
	case now.Sub(r.op.Arrived) > scsi.Late:
		r.done(array.Errorf(array.Busy, "%s is not served yet", u.g.what()))
		return
	}
	u.mu.Lock()
	if len(u.heldRead) >= maxHeldReads {
		u.mu.Unlock()
		r.done(array.Errorf(array.Busy, "too many commands wait for %s", u.g.what()))
		return
	}
	u.heldRead = append(u.heldRead, r)
	armed := u.armed
	u.armed = true
	u.mu.Unlock()
	if !armed { // one timer for all of them
		time.AfterFunc(heldReadEvery, func() {
			u.mu.Lock()
			u.armed = false
			u.mu.Unlock()
			u.retryReads()
		})
	}
}

func (u *Unit) retryReads() {
	u.mu.Lock()
	again := u.heldRead
	u.heldRead = nil
	u.mu.Unlock()
	for _, r := range again {
		u.read(r)
	}
}

// Mutate queues the change for its place.
func (u *Unit) Mutate(op *scsi.Op, m scsi.Mutation, done func(error)) {
	if u.id.ReadOnly && m.Length > 0 {
		done(array.Errorf(array.Denied, "snapshot %s can't be written to", u.id.Name))
		return
	}
	if m.Offset < 0 || m.Length < 0 || m.Offset+m.Length > u.Size() {
		done(array.Errorf(array.Range, "change of %d bytes at %d is beyond the end of volume %s, %d bytes", m.Length, m.Offset, u.id.Name, u.Size()))
		return
	}
	if m.Length == 0 {
		u.submit(&work{unit: u, op: op, done: done, inspect: func(_ scsi.Facts, err error) { done(err) }})
		return
	}
	u.submit(&work{unit: u, op: op, m: m, done: done})
}

// Reserve queues a change of the reservations.
func (u *Unit) Reserve(op *scsi.Op, req reservation.Request, done func(error)) {
	if u.id.ReadOnly {
		// A snapshot may be missing on the other array, which couldn't follow the entry.
		done(array.Errorf(array.Denied, "snapshot %s can't be reserved", u.id.Name))
		return
	}
	u.submit(&work{unit: u, op: op, request: &req, done: done})
}

// Inspect answers with facts of one moment at the serving array.
func (u *Unit) Inspect(op *scsi.Op, done func(scsi.Facts, error)) {
	u.submit(&work{unit: u, op: op, inspect: done})
}

func (u *Unit) answerInspect(w *work, err error) {
	if err != nil {
		w.inspect(scsi.Facts{}, err)
		return
	}
	w.inspect(scsi.Facts{Size: u.Size(), Reservations: u.state.Load()}, nil)
}

func (u *Unit) submit(w *work) {
	if !u.g.deliver(posted{work: w}) {
		err := array.Errorf(array.Busy, "%s is closing", u.g.what())
		if w.inspect != nil {
			w.inspect(scsi.Facts{}, err)
			return
		}
		w.done(err)
	}
}

// Cancel lets the loop look at the op again; it is dropped if it has no place.
func (u *Unit) Cancel(*scsi.Op) {
	u.g.post(u.g.place)
	u.retryReads()
}

// Watch calls f for every notice.
func (u *Unit) Watch(f func(scsi.Notice)) func() {
	u.mu.Lock()
	defer u.mu.Unlock()
	id := u.nextW
	u.nextW++
	u.watchers[id] = f
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.watchers, id)
	}
}

func (u *Unit) tell(n scsi.Notice) {
	u.mu.Lock()
	fs := make([]func(scsi.Notice), 0, len(u.watchers))
	for _, f := range u.watchers {
		fs = append(fs, f)
	}
	u.mu.Unlock()
	for _, f := range fs {
		f(n)
	}
}

func (u *Unit) setPaths(p *alike) {
	old := u.paths.Swap(p)
	if old == nil {
		return
	}
	for n := range p {
		same := len(old[n].Groups) == len(p[n].Groups)
		for i := 0; same && i < len(p[n].Groups); i++ {
			same = old[n].Groups[i].State == p[n].Groups[i].State
		}
		if !same {
			u.tell(scsi.Notice{Kind: scsi.PathsChanged})
			return
		}
	}
}
