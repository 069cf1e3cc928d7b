// SPDX-License-Identifier: Apache-2.0

package group

import (
	arb "github.com/perdure/perdure/internal/arbitration"
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/volume"
)

// Log is the array's journal, shared by all groups. *journal.Journal is one.
type Log interface {
	Append(recs ...journal.Record) error
	Read(g array.GroupID, from array.Place, fn func(journal.Record) error) error
	// Scan is Read without the data that lie outside the journal.
	Scan(g array.GroupID, from array.Place, fn func(journal.Record) error) error
	Bounds(g array.GroupID) (base, last array.Position, ok bool)
	Cut(g array.GroupID, after array.Place) error
	SetBase(g array.GroupID, at array.Position) error
	Release(g array.GroupID, upTo array.Place)
}

// Space promises room in the journal before a place is given.
type Space interface {
	Reserve(n int64) bool
	Unreserve(n int64)
	// Usage returns the bytes of the journal, and of those that can take records.
	Usage() (total, available int64)
}

// Disk is what a volume's pages do for the group.
type Disk interface {
	// Apply makes a committed record visible; it never waits for the disk.
	Apply(r journal.Record) error
	// Outside returns what puts a record's payload on pages at once, nil if it belongs in
	// the journal.
	Outside(r *journal.Record) journal.Outside
	// Read fills dst from off as of what is applied.
	Read(dst []byte, off int64) error
	// ReadCached is Read if that needs no disk, else it reports false.
	ReadCached(dst []byte, off int64) bool
	Spec() volume.VolumeSpec
	// Spacious reports whether n bytes may be written at off: whether there are pages.
	Spacious(off, n int64) (volume.Answer, error)
	// MayGrow says what keeps the volume from a size; Grow makes it so, for an entry.
	MayGrow(size int64) error
	Grow(size int64) error
	// Freeze makes a snapshot of what is applied, for the entry at a place.
	Freeze(at array.Place, id array.VolumeID) error
	Extent(off int64) (n int64, mapped bool, err error)
	// ChangedSince calls fn for pages from the given one that were born after p.
	ChangedSince(p array.Place, from int64, fn func(page int64, birth array.Place) bool) error
	// ReadPage reads a page as of what is applied, and returns its birth.
	ReadPage(n int64, dst []byte) (array.Place, error)
	Mender
}

// Mender is what the disk itself holds, without what was applied since, and how damage
// there is repaired.
type Mender interface {
	// Stored reads a page from disk; an error with a volume.Bad in it says that it is bad.
	Stored(n int64, dst []byte) (array.Place, error)
	// Mapped returns pages that have content, and up to where it looked.
	Mapped(from, end int64, most int) (pages []int64, next int64, err error)
	// Repair puts a page in the place of a bad one, if it belongs there.
	Repair(n int64, birth array.Place, data []byte) (bool, error)
}

// Pages is the pool below the group's volumes.
type Pages interface {
	// Room reports whether n more bytes may be applied.
	Room(n int) bool
	// Destaged returns the place up to which all is durable on pages.
	Destaged(g array.GroupID) array.Place
	// Furthest returns up to where some of a group may be on pages, Destaged up to where all is.
	Furthest(g array.GroupID) array.Place
	// Crowded says that pages are short, and that the journal holds some.
	Crowded() bool
	// Advance says that all up to place is applied, though it may have no data.
	Advance(g array.GroupID, place array.Place)
	// Flush puts all that was applied so far on pages.
	Flush(g array.GroupID) error
}

// Peer is the way to the other array, and what is shared with it.
type Peer interface {
	// Send queues p, in order, on the group's connection. The payload is copied or
	// retained before Send returns. An error of kind array.Busy says that there is no
	// room now and that p may be sent later; after any other p is lost, and Lost or
	// Contact comes.
	Send(p Packet) error
	// Lease returns the period of the other array's grants under which this array
	// holds a lease now; 0 if it holds none.
	Lease() uint64
	// Period returns the period in which this array grants now, 0 if it does not.
	Period() uint64
	// Ended returns the newest period of this array's grants that has surely ended.
	Ended() uint64
	// Break ends the period in which this array grants.
	Break()
	// Clock reads this array's clock, in nanoseconds. Stamp is the newest reading of the
	// other array's that came from its present process, 0 if none did.
	Clock() int64
	Stamp() int64
	// Swap and ReadWitness answer by WitnessSeen or WitnessLost.
	Swap(g array.GroupID, s arb.Swap)
	ReadWitness(g array.GroupID)
}

// Keep stores the group's small facts durably; it returns when they are.
type Keep interface {
	Put(g array.GroupID, name string, value []byte) error
	Get(g array.GroupID, name string) ([]byte, error)
}

// Packet is one message of a group to its other half.
type Packet struct {
	Type   PacketType
	Group  array.GroupID
	Epoch  array.Epoch // the sender's view
	Pos    array.Position
	Owner  array.Side
	Kind   journal.Kind
	Volume array.VolumeID
	Offset int64
	Length int64
	Commit array.Place
	Held   array.Place // what the sender's journal holds durably
	Tag    [16]byte
	// Buf carries records' data; Body everything else.
	Buf  *block.Buffer
	Body []byte
}

// PacketType says what a packet is. Values are stable on the wire.
type PacketType uint8

// The packets.
const (
	// PacketState carries a PeerState, PacketAsk an Ask, PacketAnswer an Answer.
	PacketState PacketType = iota + 1
	PacketAsk
	PacketAnswer
	// PacketGrant opens a period of the sender's grants for the group: Pos.Place is
	// the period, Tag the record's ID.
	PacketGrant
	// PacketLog describes the sender's log: segments in Body.
	PacketLog
	// PacketRecord is one record of the order.
	PacketRecord
	// PacketHeld acknowledges: Held is durable. Offset 1 says that a record is missing.
	PacketHeld
	// PacketCommit tells Commit when no record does.
	PacketCommit
	// PacketPage is one page of a copy, PacketPagesEnd its end, PacketPageAck how far it came.
	PacketPage
	PacketPagesBegin
	PacketPagesEnd
	PacketPageAck
	// PacketCall forwards a command, PacketReply answers it; Tag joins them.
	PacketCall
	PacketReply
	// PacketHello begins a contact: the sender's number, and the receiver's repeated.
	PacketHello
	// PacketFailed is the sender's word that it serves the group no more.
	PacketFailed
	// PacketRepeat tells of the answer to a COMPARE AND WRITE whose data are at Pos.
	PacketRepeat
	// PacketPagesState is the state of a volume's reservations, before PacketPagesEnd.
	PacketPagesState
	// PacketDescribed names, in Tag, the description of the group that the sender has.
	PacketDescribed
	// PacketWant asks for a page, or for checksums of pages: Length says which, Offset the
	// first page. PacketMend answers; Tag joins them.
	PacketWant
	PacketMend
	// PacketForward is a host's write on its way to the owner (forward.go). PacketPlaced
	// says which record it became, without its data; PacketRefused that it became none:
	// Length is the kind of error, 0 for none. Tag names the attempt.
	PacketForward
	PacketPlaced
	PacketRefused
	// PacketPointBegin announces a point of a periodic group (points.go), which Pos.Place and
	// Tag name; PacketPointAsk asks which pages of it are there; PacketPointPage is one,
	// born at Commit; PacketPointState a volume's reservations; PacketPointEnd says how many
	// there were of both, and with Commit the time. PacketPointAck answers: Offset says what.
	PacketPointBegin
	PacketPointAsk
	PacketPointPage
	PacketPointState
	PacketPointEnd
	PacketPointAck
)
