// SPDX-License-Identifier: Apache-2.0

package scsi

import "encoding/binary"

// Status is a SCSI status code.
type Status uint8

// The status codes in use.
const (
	Good                Status = 0x00
	CheckCondition      Status = 0x02
	Busy                Status = 0x08
	ReservationConflict Status = 0x18
	TaskSetFull         Status = 0x28
	TaskAborted         Status = 0x40
)

// Key is a sense key.
type Key uint8

// The sense keys in use.
const (
	NotReady       Key = 0x2
	MediumError    Key = 0x3
	HardwareError  Key = 0x4
	IllegalRequest Key = 0x5
	UnitAttention  Key = 0x6
	DataProtect    Key = 0x7
	CopyAborted    Key = 0xA
	AbortedCommand Key = 0xB
	MiscompareKey  Key = 0xE
)

// Code is an additional sense code and its qualifier.
type Code uint16

// The codes in use (SPC-4 annex F).
const (
	noSense               Code = 0x0000
	operationInProgress   Code = 0x0016
	lunTransitioning      Code = 0x040A
	lunStandby            Code = 0x040B
	lunUnavailable        Code = 0x040C
	writeError            Code = 0x0C00
	notEnoughData         Code = 0x0C0D
	copyThirdParty        Code = 0x0D01
	copyUnreachable       Code = 0x0D02
	copyDeviceType        Code = 0x0D03
	invalidInUnit         Code = 0x0E03
	readError             Code = 0x1100
	parameterLength       Code = 0x1A00
	miscompareVerify      Code = 0x1D00
	invalidOpcode         Code = 0x2000
	outOfRange            Code = 0x2100
	invalidInCDB          Code = 0x2400
	lunNotSupported       Code = 0x2500
	invalidInList         Code = 0x2600
	invalidRelease        Code = 0x2604
	tooManyCSCDs          Code = 0x2606
	unknownCSCD           Code = 0x2607
	tooManySegments       Code = 0x2608
	unknownSegment        Code = 0x2609
	inlineTooLong         Code = 0x260B
	writeProtected        Code = 0x2700
	spaceAllocation       Code = 0x2707
	powerOn               Code = 0x2900
	busDeviceReset        Code = 0x2903
	modeChanged           Code = 0x2A01
	reservationsPreempted Code = 0x2A03
	reservationsReleased  Code = 0x2A04
	registrationPreempted Code = 0x2A05
	accessStateChanged    Code = 0x2A06
	capacityChanged       Code = 0x2A09
	tasksCleared          Code = 0x2F00
	thinSoftThreshold     Code = 0x3807
	lunsChanged           Code = 0x3F0E
	internalFailure       Code = 0x4400
	serviceCRCError       Code = 0x4705
	registrationResources Code = 0x5504
)

// fixedSense builds sense data in fixed format. info is put in if it fits its
// four bytes and has is true.
func fixedSense(k Key, c Code, info uint64, has bool) []byte {
	s := make([]byte, 18)
	s[0] = 0x70
	if has && info <= 0xFFFFFFFF {
		s[0] |= 0x80 // VALID
		binary.BigEndian.PutUint32(s[3:], uint32(info))
	}
	s[2] = byte(k)
	s[7] = 10
	s[12], s[13] = byte(c>>8), byte(c)
	return s
}
