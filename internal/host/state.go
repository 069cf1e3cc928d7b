// SPDX-License-Identifier: Apache-2.0

package host

import "fmt"

// State is a path's asymmetric access state.
type State uint8

// The states: those on the wire, and Down for a path without a connection.
const (
	Optimized     State = 0x0
	NonOptimized  State = 0x1
	Standby       State = 0x2
	Unavailable   State = 0x3
	Offline       State = 0xE
	Transitioning State = 0xF
	Down          State = 0x80
)

// String returns the state's name as multipath -ll shows it.
func (s State) String() string {
	switch s {
	case Optimized:
		return "active"
	case NonOptimized:
		return "non-optimized"
	case Standby:
		return "standby"
	case Unavailable:
		return "unavailable"
	case Offline:
		return "offline"
	case Transitioning:
		return "transitioning"
	case Down:
		return "down"
	}
	return fmt.Sprintf("state %#x", uint8(s))
}

// usable says whether commands may be sent on such a path, and how gladly: 0 is
// best.
func (s State) usable() (rank int, ok bool) {
	switch s {
	case Optimized:
		return 0, true
	case NonOptimized:
		return 1, true
	}
	return 0, false
}
