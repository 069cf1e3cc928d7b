// SPDX-License-Identifier: Apache-2.0

package array

import (
	"errors"
	"fmt"
)

// Reason says more closely than a Kind what is wrong, for faces and programs that tell
// such cases apart. An error may have none. Values are stable on the wire.
type Reason uint8

// The reasons.
const (
	Unspecified Reason = iota
	// NoVolume, NoCPG, ... name what does not exist.
	NoVolume
	NoCPG
	NoHost
	NoHostSet
	NoVolumeSet
	NoVLUN
	NoGroup
	NoTarget
	NoInitiator
	NoMember
	NoKey
	NoTask
	NoCopy
	// VolumeExists, HostExists, ... name what exists already.
	VolumeExists
	HostExists
	SetExists
	LUNTaken
	GroupExists
	InitiatorTaken
	MemberTwice
	KeyExists
	VolumeOnTarget
	// Exported volumes, and hosts that see something, are in use.
	Exported
	InSet
	HasSnapshots
	Retained
	// Copied volumes are being made copies, or what snapshots were.
	Copied
	InGroup
	InOtherGroup
	NotInGroup
	NotEmpty
	Written
	IsSnapshot
	NotSnapshot
	Scheduled
	TooLarge
	// TargetSilent: the other array does not answer.
	TargetSilent
	// Served: the array that is asked serves the group already; ServedElsewhere: the other
	// one does; NotServed: nobody known here.
	Served
	ServedElsewhere
	NotServed
	NotSynced
	AtHome
	NoMode
	// NotActive: one array serves the group at a time.
	NotActive
	// Unconfirmed: all that the command lacks is that a person is sure.
	Unconfirmed
	// NoQoS: a set has no rule; QoSExists: it has one.
	NoQoS
	QoSExists
	// NotPeriodic, NotSynchronous: the group is of the other mode. TooShort, TooLong: of a
	// period.
	NotPeriodic
	NotSynchronous
	TooShort
	TooLong
	// NoAlert: no alert has that number.
	NoAlert
	// NoDomain, NoDomainSet: there is none of that name; DomainExists: there is one.
	// DomainUsed: it holds something. OtherDomain: objects of different domains don't go
	// together.
	NoDomain
	NoDomainSet
	DomainExists
	DomainUsed
	OtherDomain
	// CopyTarget: a copy of another volume is being made to it, or was not finished.
	CopyTarget
	// ManySessions: there are as many as there may be.
	ManySessions
	ReasonCount
)

// String returns a number: reasons are for programs, texts say what is wrong.
func (r Reason) String() string { return fmt.Sprintf("reason %d", uint8(r)) }

// Because gives the error its reason.
func (e *Error) Because(r Reason) *Error {
	e.Reason = r
	return e
}

// ReasonOf returns the reason of the first Error in err's chain that has one.
func ReasonOf(err error) Reason {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if e.Reason != Unspecified {
			return e.Reason
		}
		err = e.Err
	}
	return Unspecified
}
