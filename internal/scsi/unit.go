// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/reservation"
)

// Late is how long after its arrival a command may still be given its place.
const Late = 2 * time.Second

// Unit is a logical unit as the group implements it: one virtual volume, the
// same through both arrays. Implementations are pointers: units are compared.
type Unit interface {
	Describer
	Performer
	Reserver
	Multipath
}

// Describer says what the unit is. The answers are snapshots and cost nothing.
type Describer interface {
	Identity() Identity
	// Size returns the committed size in bytes.
	Size() int64
	// Extent returns for how many bytes from off the answer holds: whether they
	// are mapped to pages or read as zeros for want of them.
	Extent(off int64) (n int64, mapped bool)
}

// Performer carries commands out. No method blocks; done is called exactly once,
// possibly before the method returns, and only when the op is quiet on both
// arrays: it has taken effect, or never will. The op, dst and the mutation may
// not be used after that.
type Performer interface {
	// Read fills dst from off. An empty dst reads nothing.
	Read(op *Op, off int64, dst []byte, done func(error))
	// Mutate changes the unit. An error of kind array.Conflict says that
	// op.Generation isn't the reservations' revision; nothing was done.
	Mutate(op *Op, m Mutation, done func(error))
	// Inspect calls done with facts that held at one moment between the call and
	// done, on whichever array serves: a linearizable read of what is not data.
	Inspect(op *Op, done func(Facts, error))
	// Cancel asks to drop the op if it has no place yet. done still comes, with
	// array.Aborted if it was dropped. Cancelling an op that ended does nothing.
	Cancel(op *Op)
	// Reset aborts every op on the unit, on both arrays, and ends what does not
	// outlive a reset; done comes when all of it is quiet on both. Watchers of
	// both arrays see a ResetNotice before done.
	Reset(op *Op, scope Scope, done func(error))
}

// Reserver keeps the reservations.
type Reserver interface {
	// Reservations returns the committed state. It is a snapshot for checks; an
	// answer to the host rests on Inspect.
	Reservations() *reservation.State
	// Reserve applies req; done's errors are those of reservation.State.Apply. If
	// req takes a right away, done comes when both arrays have installed it and
	// the earlier commands of that nexus are placed or dead.
	Reserve(op *Op, req reservation.Request, done func(error))
}

// Multipath knows the paths to the unit through both arrays.
type Multipath interface {
	// Paths returns the present state as an initiator, by its node name, is to see it:
	// never nil, not to be changed by anybody.
	Paths(initiator string) *Paths
	// Watch calls f for every notice until stop is called; f doesn't block and
	// doesn't call back into the unit. After stop returns no call begins.
	Watch(f func(Notice)) (stop func())
}

// Acknowledger is a Unit that wants to know when a host has the status of a
// COMPARE AND WRITE that took effect. If its session ends before, a repeat of it, on
// this path or another, is answered with the first one's GOOD, once. Neither method
// blocks.
type Acknowledger interface {
	// Acknowledged: the host has the status.
	Acknowledged(nexus reservation.Nexus, opID uint64)
	// Ended: the session has ended, and what it was not answered it never will be.
	Ended(nexus reservation.Nexus)
}

// Identity is what the unit is called; the same on both arrays.
type Identity struct {
	WWN    array.WWN
	Serial string
	// Name is the virtual volume's name.
	Name     string
	Volume   array.VolumeID
	ReadOnly bool
}

// Op is one request to a unit.
type Op struct {
	// ID is unique in this process. A command of several steps has one for each.
	ID uint64
	// Nexus is the path the command came by.
	Nexus reservation.Nexus
	// Arrived is when, by boottime, the bytes that complete the command were known to
	// be fresh.
	// The op is given its place within Late of it or never.
	Arrived time.Time
	// Generation is the reservation revision under which rights were checked.
	Generation uint64

	cancelled atomic.Bool
	// resets counts the resets of the unit; at is the count when the command began.
	resets *atomic.Uint64
	at     uint64
}

// Cancel asks to drop the op as far as that is still possible. It is answered all the
// same.
func (o *Op) Cancel() { o.cancelled.Store(true) }

// Cancelled reports whether somebody asked to drop the op, or the unit was reset since
// its command began.
func (o *Op) Cancelled() bool {
	return o.cancelled.Load() || o.resets != nil && o.resets.Load() != o.at
}

// MutationKind says what a mutation does.
type MutationKind uint8

// The kinds of mutation.
const (
	// Write stores Data.
	Write MutationKind = iota + 1
	// Zero stores zeros.
	Zero
	// Unmap gives the range back: it reads as zeros, partial pages included.
	Unmap
	// CompareAndWrite stores Data if the range holds Compare, else fails with
	// array.Miscompare and the offset of the first difference.
	CompareAndWrite
	// Or stores the bitwise or of the range and Data.
	Or
)

// Mutation is a change of Length bytes from Offset, both multiples of
// block.Sector. Data and Compare have Length bytes; the caller holds its own
// reference until done, who needs them longer retains them. Nobody writes to them.
type Mutation struct {
	Kind           MutationKind
	Offset, Length int64
	Data, Compare  *block.Buffer
}

// Facts are what hosts may see of a unit beside its data, at one moment.
type Facts struct {
	Size         int64
	Reservations *reservation.State
}

// Scope says what a reset reaches.
type Scope uint8

// The scopes.
const (
	// ResetUnit is LOGICAL UNIT RESET and a target reset's share of it.
	ResetUnit Scope = iota + 1
	// ClearTasks is CLEAR TASK SET: the commands of every nexus, nothing else.
	ClearTasks
)
