// SPDX-License-Identifier: Apache-2.0

package scsi

import "github.com/perdure/perdure/internal/reservation"

// readiness says on which paths a command is answered.
type readiness uint8

const (
	// The zero value is a command that needs an active path; onStandby commands are answered in standby too: what a host needs to size
	// and open the disk.
	onStandby readiness = 1 + iota
	// always is for identity and the paths themselves.
	always
)

// descriptor is what there is to know about a command beside its handler.
type descriptor struct {
	name   string
	op     byte
	action int16 // service action, or -1
	length int
	// usage is the CDB usage data of REPORT SUPPORTED OPERATION CODES.
	usage  []byte
	access reservation.Access
	when   readiness
	// writes says that the command changes the medium.
	writes bool
	// turns says that hosts take turns with it.
	turns bool
	// quickly says that Quick may carry the command out.
	quickly bool
	// quiet commands neither report unit attentions nor are ever late.
	quiet bool
	// decode checks the CDB and sets off, length and want. Optional.
	decode func(*Command) error
	run    func(*Command)
}

// table finds descriptors by operation code.
type table [256][]*descriptor

// find returns the descriptor for a CDB, or nil.
func (t *table) find(cdb *[16]byte) *descriptor {
	for _, d := range t[cdb[0]] {
		if d.action < 0 || int16(actionOf(cdb)) == d.action {
			return d
		}
	}
	return nil
}

// known reports whether the operation code has any descriptor.
func (t *table) known(op byte) bool { return len(t[op]) > 0 }

// actionOf returns the service action of a CDB.
func actionOf(cdb *[16]byte) byte { return cdb[1] & 0x1F }

func newTable() table {
	var t table
	medium := mediumCommands()
	for _, d := range medium {
		d.turns = true
	}
	for _, list := range [][]*descriptor{medium, copyCommands(), unitCommands(), reservationCommands()} {
		for _, d := range list {
			t[d.op] = append(t[d.op], d)
		}
	}
	return t
}

// usage builds CDB usage data: the operation code, then masks.
func usage(op byte, masks ...byte) []byte { return append([]byte{op}, masks...) }

// Usage masks that recur: an address and a count, then GROUP NUMBER and CONTROL.
func usage10(op, flags byte) []byte {
	return usage(op, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0x04)
}

func usage12(op, flags byte) []byte {
	return usage(op, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04)
}

func usage16(op, flags byte) []byte {
	return usage(op, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04)
}

// mediumCommands are the commands about blocks.
func mediumCommands() []*descriptor {
	const rd, wr = reservation.Read, reservation.Write
	return []*descriptor{
		{name: "READ(6)", op: 0x08, action: -1, length: 6, usage: usage(0x08, 0x1F, 0xFF, 0xFF, 0xFF, 0x04), access: rd, decode: decodeIn, run: runRead, quickly: true},
		{name: "READ(10)", op: 0x28, action: -1, length: 10, usage: usage10(0x28, 0x18), access: rd, decode: decodeIn, run: runRead, quickly: true},
		{name: "READ(12)", op: 0xA8, action: -1, length: 12, usage: usage12(0xA8, 0x18), access: rd, decode: decodeIn, run: runRead, quickly: true},
		{name: "READ(16)", op: 0x88, action: -1, length: 16, usage: usage16(0x88, 0x18), access: rd, decode: decodeIn, run: runRead, quickly: true},
		{name: "WRITE(6)", op: 0x0A, action: -1, length: 6, usage: usage(0x0A, 0x1F, 0xFF, 0xFF, 0xFF, 0x04), access: wr, writes: true, decode: decodeOut, run: runWrite},
		{name: "WRITE(10)", op: 0x2A, action: -1, length: 10, usage: usage10(0x2A, 0x18), access: wr, writes: true, decode: decodeOut, run: runWrite},
		{name: "WRITE(12)", op: 0xAA, action: -1, length: 12, usage: usage12(0xAA, 0x18), access: wr, writes: true, decode: decodeOut, run: runWrite},
		{name: "WRITE(16)", op: 0x8A, action: -1, length: 16, usage: usage16(0x8A, 0x18), access: wr, writes: true, decode: decodeOut, run: runWrite},
		{name: "WRITE ATOMIC(16)", op: 0x9C, action: -1, length: 16, usage: usage(0x9C, 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: wr, writes: true, decode: decodeAtomic, run: runWrite},
		{name: "ORWRITE(16)", op: 0x8B, action: -1, length: 16, usage: usage16(0x8B, 0x18), access: wr, writes: true, decode: decodeOut, run: runOr},
		{name: "WRITE AND VERIFY(10)", op: 0x2E, action: -1, length: 10, usage: usage10(0x2E, 0x16), access: wr, writes: true, decode: decodeWriteVerify, run: runWriteVerify},
		{name: "WRITE AND VERIFY(12)", op: 0xAE, action: -1, length: 12, usage: usage12(0xAE, 0x16), access: wr, writes: true, decode: decodeWriteVerify, run: runWriteVerify},
		{name: "WRITE AND VERIFY(16)", op: 0x8E, action: -1, length: 16, usage: usage16(0x8E, 0x16), access: wr, writes: true, decode: decodeWriteVerify, run: runWriteVerify},
		{name: "VERIFY(10)", op: 0x2F, action: -1, length: 10, usage: usage10(0x2F, 0x16), access: rd, decode: decodeVerify, run: runVerify},
		{name: "VERIFY(12)", op: 0xAF, action: -1, length: 12, usage: usage12(0xAF, 0x16), access: rd, decode: decodeVerify, run: runVerify},
		{name: "VERIFY(16)", op: 0x8F, action: -1, length: 16, usage: usage16(0x8F, 0x16), access: rd, decode: decodeVerify, run: runVerify},
		{name: "WRITE SAME(10)", op: 0x41, action: -1, length: 10, usage: usage10(0x41, 0x08), access: wr, writes: true, decode: decodeSame, run: runSame},
		{name: "WRITE SAME(16)", op: 0x93, action: -1, length: 16, usage: usage16(0x93, 0x09), access: wr, writes: true, decode: decodeSame, run: runSame},
		{name: "UNMAP", op: 0x42, action: -1, length: 10, usage: usage(0x42, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0x04), access: wr, writes: true, decode: decodeUnmap, run: runUnmap},
		{name: "COMPARE AND WRITE", op: 0x89, action: -1, length: 16, usage: usage(0x89, 0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0, 0x04), access: wr, writes: true, decode: decodeCompare, run: runCompare},
		{name: "PRE-FETCH(10)", op: 0x34, action: -1, length: 10, usage: usage10(0x34, 0x02), access: rd, decode: decodeRange, run: runNothing},
		{name: "PRE-FETCH(16)", op: 0x90, action: -1, length: 16, usage: usage16(0x90, 0x02), access: rd, decode: decodeRange, run: runNothing},
		{name: "SYNCHRONIZE CACHE(10)", op: 0x35, action: -1, length: 10, usage: usage10(0x35, 0x02), access: wr, decode: decodeRange, run: runNothing},
		{name: "SYNCHRONIZE CACHE(16)", op: 0x91, action: -1, length: 16, usage: usage16(0x91, 0x02), access: wr, decode: decodeRange, run: runNothing},
		{name: "GET LBA STATUS(16)", op: 0x9E, action: 0x12, length: 16, usage: usage(0x9E, 0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: rd, decode: decodeLBAStatus, run: runLBAStatus},
		{name: "READ DEFECT DATA(10)", op: 0x37, action: -1, length: 10, usage: usage(0x37, 0, 0x1F, 0, 0, 0, 0, 0xFF, 0xFF, 0x04), access: reservation.Ready, run: runDefects},
		{name: "READ DEFECT DATA(12)", op: 0xB7, action: -1, length: 12, usage: usage(0xB7, 0x1F, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: reservation.Ready, run: runDefects},
	}
}

// copyCommands copy between units, which needs no right to write on the unit that is
// asked to: each unit that takes part is judged by itself.
func copyCommands() []*descriptor {
	list := []byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04}
	return []*descriptor{
		{name: "EXTENDED COPY(LID1)", op: 0x83, action: 0, length: 16, usage: usage(0x83, append([]byte{0x00, 0, 0, 0, 0, 0, 0, 0, 0}, list...)...), access: reservation.Write, decode: decodeCopy, run: runCopy},
		{name: "RECEIVE COPY STATUS(LID1)", op: 0x84, action: 0, length: 16, usage: usage(0x84, append([]byte{0x00, 0xFF, 0, 0, 0, 0, 0, 0, 0}, list...)...), access: reservation.Ready, run: runCopyStatus},
		{name: "RECEIVE COPY OPERATING PARAMETERS", op: 0x84, action: 3, length: 16, usage: usage(0x84, append([]byte{0x03, 0, 0, 0, 0, 0, 0, 0, 0}, list...)...), access: reservation.Ready, when: onStandby, run: runCopyParameters},
	}
}

// unitCommands are the commands about the unit itself.
func unitCommands() []*descriptor {
	const free, ready, rd, wr = reservation.Free, reservation.Ready, reservation.Read, reservation.Write
	return []*descriptor{
		{name: "TEST UNIT READY", op: 0x00, action: -1, length: 6, usage: usage(0x00, 0, 0, 0, 0, 0x04), access: ready, run: runNothing},
		{name: "REQUEST SENSE", op: 0x03, action: -1, length: 6, usage: usage(0x03, 0x01, 0, 0, 0xFF, 0x04), access: free, when: always, quiet: true, run: runRequestSense},
		{name: "INQUIRY", op: 0x12, action: -1, length: 6, usage: usage(0x12, 0x01, 0xFF, 0xFF, 0xFF, 0x04), access: free, when: always, quiet: true, run: runInquiry},
		{name: "REPORT LUNS", op: 0xA0, action: -1, length: 12, usage: usage(0xA0, 0, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: free, when: always, quiet: true, run: runReportLUNs},
		{name: "READ CAPACITY(10)", op: 0x25, action: -1, length: 10, usage: usage(0x25, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x01, 0x04), access: ready, when: onStandby, run: runCapacity10},
		{name: "READ CAPACITY(16)", op: 0x9E, action: 0x10, length: 16, usage: usage(0x9E, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x04), access: ready, when: onStandby, run: runCapacity16},
		{name: "MODE SENSE(6)", op: 0x1A, action: -1, length: 6, usage: usage(0x1A, 0x08, 0xFF, 0xFF, 0xFF, 0x04), access: rd, when: onStandby, run: runModeSense},
		{name: "MODE SENSE(10)", op: 0x5A, action: -1, length: 10, usage: usage(0x5A, 0x18, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0x04), access: rd, when: onStandby, run: runModeSense},
		{name: "MODE SELECT(6)", op: 0x15, action: -1, length: 6, usage: usage(0x15, 0x11, 0, 0, 0xFF, 0x04), access: wr, when: onStandby, decode: decodeModeSelect, run: runModeSelect},
		{name: "MODE SELECT(10)", op: 0x55, action: -1, length: 10, usage: usage(0x55, 0x11, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0x04), access: wr, when: onStandby, decode: decodeModeSelect, run: runModeSelect},
		{name: "LOG SENSE", op: 0x4D, action: -1, length: 10, usage: usage(0x4D, 0x01, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x04), access: rd, when: onStandby, run: runLogSense},
		{name: "RECEIVE DIAGNOSTIC RESULTS", op: 0x1C, action: -1, length: 6, usage: usage(0x1C, 0x01, 0xFF, 0xFF, 0xFF, 0x04), access: rd, when: onStandby, run: runReceiveDiagnostic},
		{name: "SEND DIAGNOSTIC", op: 0x1D, action: -1, length: 6, usage: usage(0x1D, 0x14, 0, 0xFF, 0xFF, 0x04), access: wr, run: runSendDiagnostic},
		{name: "START STOP UNIT", op: 0x1B, action: -1, length: 6, usage: usage(0x1B, 0x01, 0, 0x0F, 0xF7, 0x04), access: ready, run: runStartStop},
		{name: "PREVENT ALLOW MEDIUM REMOVAL", op: 0x1E, action: -1, length: 6, usage: usage(0x1E, 0, 0, 0, 0x03, 0x04), access: ready, run: runPreventAllow},
		{name: "REPORT TARGET PORT GROUPS", op: 0xA3, action: 0x0A, length: 12, usage: usage(0xA3, 0xEA, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: ready, when: always, run: runPortGroups},
		{name: "REPORT SUPPORTED OPERATION CODES", op: 0xA3, action: 0x0C, length: 12, usage: usage(0xA3, 0x0C, 0x87, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: ready, when: onStandby, run: runOpcodes},
		{name: "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", op: 0xA3, action: 0x0D, length: 12, usage: usage(0xA3, 0x0D, 0x80, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0x04), access: ready, when: onStandby, run: runTaskFunctions},
	}
}

// reservationCommands are PERSISTENT RESERVE and its ancestors.
func reservationCommands() []*descriptor {
	var list []*descriptor
	for action, name := range []string{"READ KEYS", "READ RESERVATION", "REPORT CAPABILITIES", "READ FULL STATUS"} {
		list = append(list, &descriptor{
			name: "PERSISTENT RESERVE IN: " + name, op: 0x5E, action: int16(action), length: 10,
			usage:  usage(0x5E, byte(action), 0, 0, 0, 0, 0, 0xFF, 0xFF, 0x04),
			access: reservation.Persistent, when: onStandby, run: runReserveIn,
		})
	}
	for action, name := range []string{
		"REGISTER", "RESERVE", "RELEASE", "CLEAR", "PREEMPT", "PREEMPT AND ABORT",
		"REGISTER AND IGNORE EXISTING KEY", "REGISTER AND MOVE",
	} {
		list = append(list, &descriptor{
			name: "PERSISTENT RESERVE OUT: " + name, op: 0x5F, action: int16(action), length: 10,
			usage:  usage(0x5F, byte(action), 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x04),
			access: reservation.Persistent, when: onStandby, decode: decodeReserveOut, run: runReserveOut,
		})
	}
	return append(list,
		&descriptor{name: "RESERVE(6)", op: 0x16, action: -1, length: 6, usage: usage(0x16, 0, 0, 0, 0, 0x04), access: reservation.Free, run: runReserve6},
		&descriptor{name: "RELEASE(6)", op: 0x17, action: -1, length: 6, usage: usage(0x17, 0, 0, 0, 0, 0x04), access: reservation.Free, run: runReserve6},
	)
}
