// SPDX-License-Identifier: Apache-2.0

package reservation

// Action is what a Request asks for. The first eight are the service actions of
// PERSISTENT RESERVE OUT, as on the wire.
type Action uint8

// The actions.
const (
	Register       Action = 0
	Reserve        Action = 1
	Release        Action = 2
	Clear          Action = 3
	Preempt        Action = 4
	PreemptAbort   Action = 5
	RegisterIgnore Action = 6
	RegisterMove   Action = 7

	// LegacyReserve and LegacyRelease are RESERVE(6) and RELEASE(6).
	LegacyReserve Action = 0x10
	LegacyRelease Action = 0x11
	// NexusLost ends what does not outlive a session: a legacy reservation.
	NexusLost Action = 0x12
	// UnitReset ends what does not outlive a logical unit reset.
	UnitReset Action = 0x13
	// PowerLoss says that the unit lost power: registrations end unless APTPL.
	PowerLoss Action = 0x14
)

// Valid reports whether a is one of the actions.
func (a Action) Valid() bool { return a <= RegisterMove || a >= LegacyReserve && a <= PowerLoss }

// Removes reports whether a may take a right from another nexus. Such a request
// is answered only when both arrays have installed it and the earlier commands of
// the nexuses concerned are placed or dead.
func (a Action) Removes() bool {
	switch a {
	case Reserve, Clear, Preempt, PreemptAbort, RegisterMove, LegacyReserve:
		return true
	}
	return false
}

// Request asks to change the reservations.
type Request struct {
	Action Action
	// Nexus is the one that asks.
	Nexus Nexus
	// Key is the RESERVATION KEY, NewKey the SERVICE ACTION RESERVATION KEY.
	Key, NewKey uint64
	Type        Type
	APTPL       bool
	// Unregister is REGISTER AND MOVE's UNREG.
	Unregister bool
	// Ports are, for ALL_TG_PT, the relative ids of every target port of both
	// arrays. Empty: only the nexus' own.
	Ports []uint16
	// Initiators are, for SPEC_I_PT, the initiator ports to register besides.
	Initiators []string
	// MoveTo is REGISTER AND MOVE's destination.
	MoveTo Nexus
}

// What says what happened to a nexus.
type What uint8

// What a nexus is told by a unit attention.
const (
	// ReservationsPreempted is 2A/03.
	ReservationsPreempted What = iota + 1
	// ReservationsReleased is 2A/04.
	ReservationsReleased
	// RegistrationsPreempted is 2A/05.
	RegistrationsPreempted
)

// Notice tells a nexus of a change made by another one.
type Notice struct {
	Nexus Nexus
	What  What
}
