// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"slices"
)

const (
	// MaxRegistrations bounds the registrations of a unit.
	MaxRegistrations = 256
	// MaxName bounds the name of an initiator port: an iSCSI name of 223 bytes,
	// ",i,0x" and an ISID in hexadecimal.
	MaxName = 223 + 5 + 12
)

// Nexus names an I_T nexus on either array.
type Nexus struct {
	// Initiator is the initiator port's name: "iqn...,i,0x<isid>".
	Initiator string
	// Port is the relative target port id, unique over both arrays.
	Port uint16
}

// Type is a persistent reservation type, as on the wire. Zero is none.
type Type uint8

// The types.
const (
	None                           Type = 0
	WriteExclusive                 Type = 1
	ExclusiveAccess                Type = 3
	WriteExclusiveRegistrantsOnly  Type = 5
	ExclusiveAccessRegistrantsOnly Type = 6
	WriteExclusiveAllRegistrants   Type = 7
	ExclusiveAccessAllRegistrants  Type = 8
)

// Valid reports whether t is one of the six types.
func (t Type) Valid() bool {
	switch t {
	case WriteExclusive, ExclusiveAccess, WriteExclusiveRegistrantsOnly, ExclusiveAccessRegistrantsOnly,
		WriteExclusiveAllRegistrants, ExclusiveAccessAllRegistrants:
		return true
	}
	return false
}

func (t Type) allRegistrants() bool {
	return t == WriteExclusiveAllRegistrants || t == ExclusiveAccessAllRegistrants
}

// registrants reports whether every registered nexus has full access.
func (t Type) registrants() bool { return t >= WriteExclusiveRegistrantsOnly }

func (t Type) readsForAll() bool {
	return t == WriteExclusive || t == WriteExclusiveRegistrantsOnly || t == WriteExclusiveAllRegistrants
}

// Registration is a registered nexus and its key, never zero.
type Registration struct {
	Nexus Nexus
	Key   uint64
}

// State is all reservations of one unit. The zero State has none.
type State struct {
	// Revision counts the changes of rights; see the package comment.
	Revision uint64
	// Generation is PRGENERATION.
	Generation uint32
	// Registrations are in the order in which they came.
	Registrations []Registration
	// Type is the reservation's type, None if there is none.
	Type Type
	// Holder holds the reservation, unless the type is of all registrants.
	Holder Nexus
	// APTPL is the last registration's wish to outlive power loss.
	APTPL bool
	// Legacy is the holder of a RESERVE(6), if Reserved6.
	Legacy    Nexus
	Reserved6 bool
}

// Access is what a command needs from the reservations.
type Access uint8

// The access classes, after the tables of SPC-4 and SBC-3.
const (
	// Free commands never conflict: INQUIRY, REPORT LUNS, REQUEST SENSE.
	Free Access = iota
	// Ready commands conflict only with a legacy reservation: TEST UNIT READY.
	Ready
	// Read commands conflict with a foreign exclusive access.
	Read
	// Write commands conflict with any foreign reservation.
	Write
	// Persistent is for PERSISTENT RESERVE IN and OUT: Apply judges the latter's rights.
	Persistent
)

// Allows reports whether a command of class a may run for nexus n.
func (s *State) Allows(n Nexus, a Access) bool {
	if a == Free || s.Type == None && !s.Reserved6 {
		return true
	}
	if s.Reserved6 {
		// SPC-2: PERSISTENT RESERVE conflicts even for the legacy holder.
		return a != Persistent && s.Legacy == n
	}
	switch {
	case a == Ready || a == Persistent:
		return true
	case s.holds(n):
		return true
	case s.Type.registrants() && s.find(n) >= 0:
		return true
	}
	return a == Read && s.Type.readsForAll()
}

// Key returns the key of nexus n, if it is registered.
func (s *State) Key(n Nexus) (uint64, bool) {
	if i := s.find(n); i >= 0 {
		return s.Registrations[i].Key, true
	}
	return 0, false
}

// holds reports whether n is a holder of the reservation.
func (s *State) holds(n Nexus) bool {
	switch {
	case s.Type == None:
		return false
	case s.Type.allRegistrants():
		return s.find(n) >= 0
	}
	return s.Holder == n
}

func (s *State) find(n Nexus) int {
	return slices.IndexFunc(s.Registrations, func(r Registration) bool { return r.Nexus == n })
}

// next returns a copy to be changed, with the next Revision.
func (s *State) next() *State {
	c := *s
	c.Registrations = slices.Clone(s.Registrations)
	c.Revision++
	return &c
}
