// SPDX-License-Identifier: Apache-2.0

package pdu

import "encoding/binary"

// Operation codes.
const (
	NopOut      = 0x00
	SCSICommand = 0x01
	TaskRequest = 0x02
	LoginReq    = 0x03
	TextReq     = 0x04
	DataOut     = 0x05
	LogoutReq   = 0x06
	SNACK       = 0x10

	NopIn        = 0x20
	SCSIResponse = 0x21
	TaskResponse = 0x22
	LoginResp    = 0x23
	TextResp     = 0x24
	DataIn       = 0x25
	LogoutResp   = 0x26
	R2T          = 0x31
	Async        = 0x32
	Reject       = 0x3F
)

const (
	// HeaderLen is the length of a basic header segment.
	HeaderLen = 48
	// NoTag is the reserved tag.
	NoTag = 0xFFFFFFFF
	// MaxDataLen is what the data segment length field can hold.
	MaxDataLen = 1<<24 - 1
)

// Reject reasons.
const (
	ReasonDataDigest   = 0x02
	ReasonSNACK        = 0x03
	ReasonProtocol     = 0x04
	ReasonUnsupported  = 0x05
	ReasonTooManyImm   = 0x06
	ReasonInProgress   = 0x07
	ReasonInvalidField = 0x09
)

// Field offsets that several PDUs share.
const (
	OffLUN     = 8
	OffITT     = 16
	OffTTT     = 20
	OffCmdSN   = 24 // requests; StatSN in responses
	OffStatSN  = 24
	OffExpStat = 28 // requests
	OffExpCmd  = 28 // responses
	OffMaxCmd  = 32 // responses
	OffDataSN  = 36
	OffBuffer  = 40 // buffer offset
	OffResid   = 44
)

// Header is a basic header segment.
type Header [HeaderLen]byte

// Make returns a header with operation code and flags set.
func Make(op, flags byte) (h Header) {
	h[0], h[1] = op, flags
	return h
}

// Op returns the operation code.
func (h *Header) Op() byte { return h[0] & 0x3F }

// Immediate reports the I bit.
func (h *Header) Immediate() bool { return h[0]&0x40 != 0 }

// Final reports the F bit (T in login requests).
func (h *Header) Final() bool { return h[1]&0x80 != 0 }

// AHSLen returns the length of the additional header segments.
func (h *Header) AHSLen() int { return int(h[4]) * 4 }

// DataLen returns the length of the data segment.
func (h *Header) DataLen() int { return int(h[5])<<16 | int(h[6])<<8 | int(h[7]) }

// SetDataLen sets the length of the data segment.
func (h *Header) SetDataLen(n int) { h[5], h[6], h[7] = byte(n>>16), byte(n>>8), byte(n) }

// U32 returns the four bytes at off.
func (h *Header) U32(off int) uint32 { return binary.BigEndian.Uint32(h[off:]) }

// Put32 sets the four bytes at off.
func (h *Header) Put32(off int, v uint32) { binary.BigEndian.PutUint32(h[off:], v) }

// U16 returns the two bytes at off.
func (h *Header) U16(off int) uint16 { return binary.BigEndian.Uint16(h[off:]) }

// Put16 sets the two bytes at off.
func (h *Header) Put16(off int, v uint16) { binary.BigEndian.PutUint16(h[off:], v) }

// U64 returns the eight bytes at off.
func (h *Header) U64(off int) uint64 { return binary.BigEndian.Uint64(h[off:]) }

// Put64 sets the eight bytes at off.
func (h *Header) Put64(off int, v uint64) { binary.BigEndian.PutUint64(h[off:], v) }

// ITT returns the initiator task tag.
func (h *Header) ITT() uint32 { return h.U32(OffITT) }

// Pad returns how many bytes pad a segment of n bytes.
func Pad(n int) int { return -n & 3 }
