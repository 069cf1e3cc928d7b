// SPDX-License-Identifier: Apache-2.0

package link

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

const (
	// Version is the version of the protocol. Both sides must speak the same.
	Version = 1
	// HeaderSize is the length of a frame without its payload.
	HeaderSize = 96
	// MaxPayload is the longest payload.
	MaxPayload = block.MaxBuffer
	// MaxLength is the largest Length that a frame can carry.
	MaxLength = 1<<48 - 1
	// maxControl is the longest payload on a control connection: what keeps leases
	// alive must not stand behind a megabyte.
	maxControl = 256 << 10

	magic = 0x5044 // "PD"
)

// A Type says what a frame is. Users' types start at FirstType.
type Type uint8

// FirstType is the first type that is the user's; those below are the link's own.
const FirstType Type = 16

const (
	typeHello Type = 1 + iota
	typeRefuse
	typePing
	typePong
)

// A Frame is one message. Its fields have the names of what they mostly carry, and
// mean what the user's type says.
type Frame struct {
	Type     Type
	Flags    uint16
	Group    array.GroupID
	Position array.Position
	Commit   array.Place
	Volume   array.VolumeID
	Offset   int64 // not negative
	Length   int64 // 0 to MaxLength
	Tag      [16]byte
	// Payload goes with the frame. After Send it must not change; a received one is
	// valid until the handler returns.
	Payload []byte
	// Buf owns Payload, if set. Send keeps a reference for as long as it needs one;
	// a handler that keeps the payload must Retain it.
	Buf *block.Buffer
}

// Errors of the decoder.
var (
	errMagic    = errors.New("not a frame of this protocol")
	errHeader   = errors.New("frame header fails its checksum")
	errPayload  = errors.New("frame payload fails its checksum")
	errTooLong  = errors.New("frame payload is too long")
	errNegative = errors.New("frame offset is negative")
)

// check says what keeps f from being sent.
func (f *Frame) check() error {
	switch {
	case len(f.Payload) > MaxPayload:
		return array.Errorf(array.Invalid, "send frame: payload of %d bytes, at most %d", len(f.Payload), MaxPayload)
	case f.Offset < 0 || f.Length < 0 || f.Length > MaxLength:
		return array.Errorf(array.Invalid, "send frame: offset %d, length %d", f.Offset, f.Length)
	}
	return nil
}

// appendHeader appends the header of f, with the checksums, to dst.
func (f *Frame) appendHeader(dst []byte) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint16(dst, magic)
	dst = append(dst, Version, byte(f.Type))
	dst = le.AppendUint16(dst, f.Flags)
	dst = le.AppendUint32(dst, uint32(f.Length))
	dst = le.AppendUint16(dst, uint16(f.Length>>32))
	dst = le.AppendUint32(dst, uint32(len(f.Payload)))
	for _, v := range [...]uint64{
		uint64(f.Group), uint64(f.Position.Epoch), uint64(f.Position.Term), uint64(f.Position.Place),
		uint64(f.Commit), uint64(f.Volume), uint64(f.Offset),
	} {
		dst = le.AppendUint64(dst, v)
	}
	dst = append(dst, f.Tag[:]...)
	dst = le.AppendUint32(dst, block.Checksum(f.Payload))
	return le.AppendUint32(dst, block.Checksum(dst[at:]))
}

// decodeHeader reads a header of HeaderSize bytes. It returns the length and the
// checksum of the payload that follows.
func decodeHeader(h []byte) (f Frame, size int, sum uint32, err error) {
	le := binary.LittleEndian
	_ = h[HeaderSize-1]
	switch {
	case le.Uint16(h) != magic:
		return f, 0, 0, errMagic
	case h[2] != Version: // before the checksum, which another version may have elsewhere
		return f, 0, 0, fmt.Errorf("the other side speaks version %d of the link protocol, this one %d: bring both to the same release", h[2], Version)
	case le.Uint32(h[92:]) != block.Checksum(h[:92]):
		return f, 0, 0, errHeader
	case le.Uint32(h[12:]) > MaxPayload:
		return f, 0, 0, errTooLong
	case h[71]&0x80 != 0:
		return f, 0, 0, errNegative
	}
	f.Type = Type(h[3])
	f.Flags = le.Uint16(h[4:])
	f.Length = int64(le.Uint32(h[6:])) | int64(le.Uint16(h[10:]))<<32
	f.Group = array.GroupID(le.Uint64(h[16:]))
	f.Position.Epoch = array.Epoch(le.Uint64(h[24:]))
	f.Position.Term = array.Term(le.Uint64(h[32:]))
	f.Position.Place = array.Place(le.Uint64(h[40:]))
	f.Commit = array.Place(le.Uint64(h[48:]))
	f.Volume = array.VolumeID(le.Uint64(h[56:]))
	f.Offset = int64(le.Uint64(h[64:]))
	copy(f.Tag[:], h[72:])
	return f, int(le.Uint32(h[12:])), le.Uint32(h[88:]), nil
}
