// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// Kind says what a record is. Values are part of the disk format.
type Kind uint8

// The kinds of records that users append.
const (
	// Data writes Payload at Offset of Volume.
	Data Kind = 1
	// Zeros writes Length zero bytes at Offset of Volume.
	Zeros Kind = 2
	// Entry is anything else that has a place; Payload says what.
	Entry Kind = 3
)

// The kinds of the journal's own records.
const (
	kindCheckpoint Kind = 0x81 + iota
	kindBase
	kindCut
	kindForget
)

// MaxEntry is the longest payload of an Entry.
const MaxEntry = 256 << 10

// Record is one step of a group's log.
type Record struct {
	Group  array.GroupID
	Pos    array.Position
	Kind   Kind
	Volume array.VolumeID
	// Offset and Length are bytes of the volume.
	Offset, Length int64
	// Tag is the user's: it comes back as it was.
	Tag [16]byte
	// Payload holds Length bytes for Data, nothing for Zeros. It must not change
	// until the record is durable.
	Payload []byte
	// Buf, if set, owns Payload and is retained until the record is durable. A
	// record that was read has none.
	Buf *block.Buffer
	// Outside, if set, takes the payload in place of the journal. Of a record that was
	// read it is the same as when it was appended.
	Outside Outside
	// Reserved says that room for it was promised by Reserve.
	Reserved bool
}

// validate checks what a caller, and through it a peer, may get wrong.
func (r *Record) validate(maxPayload int) error {
	n := len(r.Payload)
	switch {
	case r.Offset < 0 || r.Length < 0 || r.Offset+r.Length < 0:
		return array.Errorf(array.Invalid, "record %s of group %s: bad range %d+%d", r.Pos, r.Group, r.Offset, r.Length)
	case n > maxPayload || (r.Kind == Entry && n > MaxEntry):
		return array.Errorf(array.Invalid, "record %s of group %s: payload of %d bytes is too long", r.Pos, r.Group, n)
	case r.Kind == Data && int64(n) != r.Length, r.Kind == Zeros && n != 0:
		return array.Errorf(array.Invalid, "record %s of group %s: %d bytes of payload for length %d", r.Pos, r.Group, n, r.Length)
	case r.Outside != nil && r.Kind != Data:
		return array.Errorf(array.Invalid, "record %s of group %s: kind %d has no payload to be outside", r.Pos, r.Group, r.Kind)
	case r.Kind < Data || r.Kind > Entry:
		return array.Errorf(array.Invalid, "record %s of group %s: unknown kind %d", r.Pos, r.Group, r.Kind)
	}
	return nil
}

const (
	recordMagic = 0x314A4450 // "PDJ1"
	// recordVersion is what most records are; outsideVersion those whose payload says
	// where the payload is, and earlyVersion those of them that don't say that it is
	// there, for programs that don't know of it.
	recordVersion  = 1
	outsideVersion = 2
	earlyVersion   = 3
	// headerSize is a record's header on disk; the payload follows, and zeros up
	// to a multiple of recordAlign.
	headerSize  = 120
	recordAlign = 8
	// flushAlign is where flushes start: what a direct write can address.
	flushAlign = 4096
)

// header is a record as it stands on disk, without its payload.
type header struct {
	Record
	seq        uint64 // of the segment it was written for
	flush      uint64 // counts flushes of the journal
	flushStart uint32 // where in the segment its flush starts
	self       uint32 // where in the segment it stands itself
	final      bool   // the last record of its flush
	outside    bool   // the payload says where the record's payload is
	early      bool   // it was written before that was durable: see early.go
	payloadLen uint32
	payloadCRC uint32
}

// size returns the bytes that a record with a payload of n bytes takes.
func size(n int) int64 { return up(int64(headerSize+n), recordAlign) }

func up(n, to int64) int64 { return (n + to - 1) / to * to }

// Cost returns the room to Reserve for a record with a payload of n bytes. It is
// what the record takes in a flush of its own, the worst case.
func Cost(n int) int64 { return up(int64(headerSize+n), flushAlign) }

// encode writes h to b, which has headerSize bytes. The checksum starts from that
// of the journal's id and covers segment, flush and place in the file, so no
// record of another journal, of the segment's former life or copied to a wrong
// place passes for a live one.
func (h *header) encode(b []byte, id *[16]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], recordMagic)
	b[4], b[5], b[6], b[7] = recordVersion, byte(h.Kind), 0, 0
	switch {
	case h.early:
		b[4] = earlyVersion
	case h.outside:
		b[4] = outsideVersion
	}
	if h.final {
		b[6] = 1
	}
	le.PutUint64(b[8:], h.seq)
	le.PutUint64(b[16:], h.flush)
	le.PutUint32(b[24:], h.flushStart)
	le.PutUint32(b[28:], h.self)
	le.PutUint64(b[32:], uint64(h.Group))
	le.PutUint64(b[40:], uint64(h.Pos.Epoch))
	le.PutUint64(b[48:], uint64(h.Pos.Term))
	le.PutUint64(b[56:], uint64(h.Pos.Place))
	le.PutUint64(b[64:], uint64(h.Volume))
	le.PutUint64(b[72:], uint64(h.Offset))
	le.PutUint64(b[80:], uint64(h.Length))
	copy(b[88:104], h.Tag[:])
	le.PutUint32(b[104:], h.payloadLen)
	le.PutUint32(b[108:], h.payloadCRC)
	le.PutUint32(b[112:], block.ChecksumUpdate(block.Checksum(id[:]), b[:112]))
	le.PutUint32(b[116:], 0)
}

// decodeHeader reads a header. It fails on anything that encode didn't write for
// this journal at offset self.
func decodeHeader(b []byte, id [16]byte, self int64) (header, error) {
	le := binary.LittleEndian
	var h header
	switch {
	case len(b) < headerSize:
		return h, fmt.Errorf("record header is cut short")
	case le.Uint32(b) != recordMagic:
		return h, fmt.Errorf("no record starts here")
	case le.Uint32(b[112:]) != block.ChecksumUpdate(block.Checksum(id[:]), b[:112]):
		return h, fmt.Errorf("record header fails its checksum")
	case b[4] < recordVersion || b[4] > earlyVersion:
		return h, fmt.Errorf("record has format version %d, this program knows %d to %d", b[4], recordVersion, earlyVersion)
	}
	h.Kind, h.final, h.outside, h.early = Kind(b[5]), b[6] == 1, b[4] != recordVersion, b[4] == earlyVersion
	h.seq = le.Uint64(b[8:])
	h.flush = le.Uint64(b[16:])
	h.flushStart = le.Uint32(b[24:])
	h.self = le.Uint32(b[28:])
	h.Group = array.GroupID(le.Uint64(b[32:]))
	h.Pos.Epoch = array.Epoch(le.Uint64(b[40:]))
	h.Pos.Term = array.Term(le.Uint64(b[48:]))
	h.Pos.Place = array.Place(le.Uint64(b[56:]))
	h.Volume = array.VolumeID(le.Uint64(b[64:]))
	h.Offset = int64(le.Uint64(b[72:]))
	h.Length = int64(le.Uint64(b[80:]))
	copy(h.Tag[:], b[88:104])
	h.payloadLen = le.Uint32(b[104:])
	h.payloadCRC = le.Uint32(b[108:])
	if int64(h.self) != self {
		return h, fmt.Errorf("record was written for offset %d", h.self)
	}
	return h, nil
}
