// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"errors"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

// sensed is an error that is a CHECK CONDITION by itself.
type sensed struct {
	key  Key
	code Code
}

func (sensed) Error() string { return "check condition" }

// taskSetFull is an error that is TASK SET FULL by itself.
type taskSetFull struct{}

func (taskSetFull) Error() string { return "task set full" }

// outcome sets the command's status and sense from err. This is the one place
// where an error kind becomes what a host sees:
//
//	nil            GOOD
//	Busy, Moved, Conflict  BUSY: the host tries again on the same path
//	Reserved       RESERVATION CONFLICT
//	Aborted        TASK ABORTED
//	Standby        02/04/0B   Unavailable 02/04/0C
//	Miscompare     0E/1D/00 with the offset
//	Medium         03/11/00 with the first block, for a write 03/0C/00
//	Range          05/21/00   Invalid     05/24/00   NotFound 05/25/00
//	Full           07/27/07   Denied      07/27/00
//	Unknown        none: the transport ends the session
//	others         04/44/00
func (c *Command) outcome(err error) {
	if err == nil {
		c.Status = Good
		return
	}
	if s, ok := err.(sensed); ok {
		c.sense(s.key, s.code, 0, false)
		return
	}
	if _, ok := err.(taskSetFull); ok {
		c.Status = TaskSetFull
		return
	}
	switch array.KindOf(err) {
	case array.Busy, array.Moved, array.Conflict:
		c.Status = Busy
	case array.Reserved:
		c.Status = ReservationConflict
	case array.Aborted:
		c.Status = TaskAborted
	case array.Standby:
		c.sense(NotReady, lunStandby, 0, false)
	case array.Unavailable:
		c.sense(NotReady, lunUnavailable, 0, false)
	case array.Miscompare:
		var e *array.Error
		errors.As(err, &e)
		c.sense(MiscompareKey, miscompareVerify, uint64(max(e.Offset, 0)), true)
	case array.Medium:
		code := readError
		if c.desc != nil && c.desc.writes {
			code = writeError
		}
		c.sense(MediumError, code, uint64(c.off)/block.Sector, true)
	case array.Range:
		c.sense(IllegalRequest, outOfRange, 0, false)
	case array.Invalid:
		c.sense(IllegalRequest, invalidInCDB, 0, false)
	case array.NotFound:
		c.sense(IllegalRequest, lunNotSupported, 0, false)
	case array.Full:
		c.sense(DataProtect, spaceAllocation, 0, false)
	case array.Unknown:
		c.Unanswerable = true
	case array.Denied:
		c.sense(DataProtect, writeProtected, 0, false)
	default:
		c.sense(HardwareError, internalFailure, 0, false)
	}
}

func (c *Command) sense(k Key, code Code, info uint64, has bool) {
	c.Status = CheckCondition
	c.Sense = fixedSense(k, code, info, has)
}

// The refusals of a CDB or a parameter list.
func badCDB() error       { return sensed{IllegalRequest, invalidInCDB} }
func badList() error      { return sensed{IllegalRequest, invalidInList} }
func badListLen() error   { return sensed{IllegalRequest, parameterLength} }
func beyondEnd() error    { return array.Errorf(array.Range, "address beyond the unit's end") }
func noMemory() error     { return array.Errorf(array.Busy, "no buffer is free") }
func abortedError() error { return array.Errorf(array.Aborted, "the command was aborted") }
