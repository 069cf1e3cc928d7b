// SPDX-License-Identifier: Apache-2.0

package ramunit

import (
	"bytes"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
	"github.com/perdure/perdure/internal/scsi"
)

// Unit is one array's view of a Disk.
type Unit struct {
	disk  *Disk
	local int
}

var _ scsi.Unit = (*Unit)(nil)

// Unit returns the view of the array whose port group is the local-th.
func (d *Disk) Unit(local int) *Unit { return &Unit{d, local} }

// Identity implements scsi.Describer.
func (u *Unit) Identity() scsi.Identity { return u.disk.identity }

// Size implements scsi.Describer.
func (u *Unit) Size() int64 {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	return u.disk.size
}

// Extent implements scsi.Describer.
func (u *Unit) Extent(off int64) (int64, bool) {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	return block.Page - off%block.Page, u.disk.pages[off/block.Page] != nil
}

// ready is the group's judgement: may this array serve now? Callers hold mu.
func (u *Unit) ready() error {
	switch u.disk.groups[u.local].State {
	case scsi.Optimized, scsi.NonOptimized:
		return nil
	case scsi.Standby:
		return array.Errorf(array.Standby, "standby")
	}
	return array.Errorf(array.Unavailable, "unavailable")
}

// Read implements scsi.Performer.
func (u *Unit) Read(op *scsi.Op, off int64, dst []byte, done func(error)) {
	d := u.disk
	d.do(op, func() error {
		if err := u.check(op, off, int64(len(dst))); err != nil {
			return err
		}
		d.read(dst, off)
		return nil
	}, done)
}

func (u *Unit) check(op *scsi.Op, off, n int64) error {
	if err := u.ready(); err != nil {
		return err
	}
	if op.Generation != u.disk.res.Revision {
		return array.Errorf(array.Conflict, "reservations changed")
	}
	if off < 0 || n < 0 || off+n > u.disk.size {
		return array.Errorf(array.Range, "beyond the end")
	}
	return nil
}

// Mutate implements scsi.Performer.
func (u *Unit) Mutate(op *scsi.Op, m scsi.Mutation, done func(error)) {
	u.disk.do(op, func() error {
		if err := u.check(op, m.Offset, m.Length); err != nil {
			return err
		}
		return u.disk.mutate(m)
	}, done)
}

// mutate carries m out. Callers hold mu.
func (d *Disk) mutate(m scsi.Mutation) error {
	switch m.Kind {
	case scsi.Write:
		d.write(m.Data.Bytes(), m.Offset)
	case scsi.Zero, scsi.Unmap:
		d.zero(m.Offset, m.Length)
	case scsi.CompareAndWrite:
		old := make([]byte, m.Length)
		d.read(old, m.Offset)
		if want := m.Compare.Bytes(); !bytes.Equal(old, want) {
			at := 0
			for old[at] == want[at] {
				at++
			}
			return &array.Error{Kind: array.Miscompare, Offset: int64(at)}
		}
		d.write(m.Data.Bytes(), m.Offset)
	case scsi.Or:
		old := make([]byte, m.Length)
		d.read(old, m.Offset)
		for i, b := range m.Data.Bytes() {
			old[i] |= b
		}
		d.write(old, m.Offset)
	default:
		return array.Errorf(array.Internal, "mutation %d", m.Kind)
	}
	d.stores++
	return nil
}

// Ended implements scsi.Acknowledger.
func (u *Unit) Ended(reservation.Nexus) {}

// Acknowledged implements scsi.Acknowledger: it counts.
func (u *Unit) Acknowledged(reservation.Nexus, uint64) {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	u.disk.acked++
}

// Inspect implements scsi.Performer. It is answered in standby too, and is never held.
func (u *Unit) Inspect(_ *scsi.Op, done func(scsi.Facts, error)) {
	u.disk.mu.Lock()
	f := scsi.Facts{Size: u.disk.size, Reservations: u.disk.res}
	err := u.ready()
	u.disk.mu.Unlock()
	if array.KindOf(err) == array.Standby {
		err = nil
	}
	done(f, err)
}

// Cancel implements scsi.Performer.
func (u *Unit) Cancel(op *scsi.Op) { u.disk.drop(func(o *scsi.Op) bool { return o == op }) }

// Reset implements scsi.Performer.
func (u *Unit) Reset(op *scsi.Op, scope scsi.Scope, done func(error)) {
	d := u.disk
	n := scsi.Notice{Kind: scsi.TasksCleared, Nexus: op.Nexus}
	if scope == scsi.ResetUnit {
		n.Kind = scsi.ResetNotice
		d.mu.Lock()
		d.res, _, _ = d.res.Apply(reservation.Request{Action: reservation.UnitReset, Nexus: op.Nexus})
		d.mu.Unlock()
	}
	d.Notify(n)
	d.drop(func(*scsi.Op) bool { return true })
	d.whenQuiet(func() { done(nil) })
}

// Reservations implements scsi.Reserver.
func (u *Unit) Reservations() *reservation.State {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	return u.disk.res
}

// Reserve implements scsi.Reserver. As every op is over under the lock, there are
// no earlier commands to wait for but held ones, and those fail their revision.
func (u *Unit) Reserve(_ *scsi.Op, req reservation.Request, done func(error)) {
	d := u.disk
	d.mu.Lock()
	next, told, err := d.res.Apply(req)
	d.res = next
	d.mu.Unlock()
	for _, n := range told {
		d.Notify(scsi.NoticeOf(n))
	}
	done(err)
}

// Paths implements scsi.Multipath.
func (u *Unit) Paths(string) *scsi.Paths {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	return &scsi.Paths{Local: u.local, Groups: u.disk.groups}
}

// Watch implements scsi.Multipath.
func (u *Unit) Watch(f func(scsi.Notice)) (stop func()) {
	d := u.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastID++
	id := d.lastID
	d.watchers[id] = f
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, id)
	}
}
