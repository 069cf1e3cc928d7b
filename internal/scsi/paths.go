// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"slices"

	"github.com/perdure/perdure/internal/reservation"
)

// PathState is an asymmetric access state, as on the wire.
type PathState uint8

// The states. Lost is not on the wire: the unit is known to be served by the
// other array alone, and hosts shall take this path for permanently gone.
const (
	Optimized     PathState = 0x0
	NonOptimized  PathState = 0x1
	Standby       PathState = 0x2
	Unavailable   PathState = 0x3
	Transitioning PathState = 0xF
	Lost          PathState = 0x10
)

// PortGroup is a target port group: the ports of one array.
type PortGroup struct {
	ID        uint16
	State     PathState
	Preferred bool
	// Ports are the relative target port ids, disjoint over the pair.
	Ports []uint16
}

// Paths are the target port groups of both arrays.
type Paths struct {
	// Local indexes the group of this array.
	Local  int
	Groups []PortGroup
}

// at returns the group of a port through which commands come here: this array's, unless
// the port is the other's. A unit without one is unavailable here.
func (p *Paths) at(port Port) PortGroup {
	if p == nil || p.Local < 0 || p.Local >= len(p.Groups) {
		return PortGroup{State: Unavailable}
	}
	if !port.Guest {
		return p.Groups[p.Local]
	}
	if i := p.guest(port.Relative); i >= 0 {
		return p.Groups[i]
	}
	return PortGroup{State: Unavailable}
}

// guest returns which group of another array has a port, -1 if none.
func (p *Paths) guest(relative uint16) int {
	for i, g := range p.Groups {
		if i != p.Local && slices.Contains(g.Ports, relative) {
			return i
		}
	}
	return -1
}

// NoticeKind says what happened to a unit.
type NoticeKind uint8

// The notices, and the unit attention that each becomes.
const (
	PathsChanged           NoticeKind = iota + 1 // 2A/06, every nexus
	CapacityChanged                              // 2A/09, every nexus
	ReservationsPreempted                        // 2A/03, one nexus
	ReservationsReleased                         // 2A/04, one nexus
	RegistrationsPreempted                       // 2A/05, one nexus
	ResetNotice                                  // 29/03, every nexus; commands end
	TasksCleared                                 // 2F/00, every nexus but the named one; commands end
	ThinSoft                                     // 38/07, every nexus
	ModeChanged                                  // 2A/01, every nexus
	Gone                                         // the unit is no more
)

// Notice tells the front end of a change. Nexus is the nexus concerned, or for
// TasksCleared the one that asked.
type Notice struct {
	Kind  NoticeKind
	Nexus reservation.Nexus
}

// NoticeOf returns the notice for a change of reservations.
func NoticeOf(n reservation.Notice) Notice {
	switch n.What {
	case reservation.ReservationsPreempted:
		return Notice{ReservationsPreempted, n.Nexus}
	case reservation.ReservationsReleased:
		return Notice{ReservationsReleased, n.Nexus}
	}
	return Notice{RegistrationsPreempted, n.Nexus}
}

// Traits are what hosts of some kinds want otherwise. The zero value is for most.
type Traits struct {
	// Symmetric: the host is not told of target port groups (INQUIRY's TPGS is 0). What a
	// path is good for does not change.
	Symmetric bool
	// NoLUNNews: it gets no unit attention 3F/0E, REPORTED LUNS DATA HAS CHANGED.
	NoLUNNews bool
}

// unwanted reports whether a host of this kind is not told of something.
func (t Traits) unwanted(code Code) bool {
	return t.NoLUNNews && code == lunsChanged || t.Symmetric && code == accessStateChanged
}

// Exports says which units an initiator sees. Names are iSCSI node names.
type Exports interface {
	Unit(initiator string, lun uint16) (Unit, bool)
	// LUNs returns the numbers in ascending order.
	LUNs(initiator string) []uint16
	// Traits says how an initiator wants to be answered.
	Traits(initiator string) Traits
	// WatchExports calls f with the name of each initiator whose view changed,
	// "" for all, until stop is called. f doesn't block, and asks for the new view
	// before it returns: no lock that Unit and LUNs need may be held.
	WatchExports(f func(initiator string)) (stop func())
}
