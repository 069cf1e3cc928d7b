// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"

	"github.com/perdure/perdure/internal/iscsi/initiator"
)

const (
	statusCheck     = 0x02
	statusBusy      = 0x08
	statusFull      = 0x28
	statusAborted   = 0x40
	keyNotReady     = 0x02
	keyAttention    = 0x06
	keyAborted      = 0x0B
	codeTransition  = 0x02040A
	codeStandby     = 0x02040B
	codeUnavailable = 0x02040C
	codeOffline     = 0x020412
	codeNoUnit      = 0x052500
	codeStates      = 0x062A06
	codeCapacity    = 0x062A09
	codeUnits       = 0x063F0E
	codePowerOn     = 0x062900
)

// Error is a command's end that a host's file system would see.
type Error struct {
	Status byte
	Code   int // sense key, code and qualifier as 0xKKAAQQ, 0 without
}

// Error returns status and sense.
func (e *Error) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("SCSI status %02x", e.Status)
	}
	return fmt.Sprintf("SCSI status %02x, sense %02x/%02x/%02x", e.Status, e.Code>>16, e.Code>>8&0xFF, e.Code&0xFF)
}

// A verdict says what a host does with a command's end.
type verdict uint8

const (
	finished  verdict = iota
	again             // on the same path, at once
	later             // on the same path, after a short while
	elsewhere         // on another path
	failed            // to the caller
)

// judge holds the rules for a command's end. down is the state that the path now
// has, if it is not to be used any more; look asks for the states to be read.
func judge(r initiator.Result) (v verdict, down State, look bool) {
	switch {
	case r.Err != nil:
		return elsewhere, Down, false
	case r.Status == 0:
		return finished, 0, false
	case r.Status == statusBusy || r.Status == statusFull:
		return later, 0, false
	case r.Status == statusAborted:
		return again, 0, false
	case r.Status != statusCheck:
		return failed, 0, false
	}
	switch code := r.Code(); {
	case code == codeStandby:
		return elsewhere, Standby, true
	case code == codeUnavailable:
		return elsewhere, Unavailable, true
	case code == codeOffline, code == codeNoUnit:
		return elsewhere, Offline, true
	case code == codeTransition:
		return later, 0, true
	case code == codeStates || code == codeUnits || code == codeCapacity:
		return again, 0, true
	case code>>16 == keyAttention || code>>16 == keyAborted:
		return again, 0, false
	}
	return failed, 0, false
}
