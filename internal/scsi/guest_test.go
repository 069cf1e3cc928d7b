// SPDX-License-Identifier: Apache-2.0

package scsi

import "testing"

// TestGuestPorts: a port of the other array has that array's group, where the unit is on
// both; else it is not there.
func TestGuestPorts(t *testing.T) {
	both := &Paths{Local: 1, Groups: []PortGroup{{ID: 1, State: Optimized, Ports: []uint16{1, 2}}, {ID: 2, State: NonOptimized, Ports: []uint16{257, 258}}}}
	one := &Paths{Local: 0, Groups: []PortGroup{{ID: 2, State: Optimized, Ports: []uint16{257, 258}}}}
	for _, x := range []struct {
		what  string
		paths *Paths
		port  Port
		id    uint16
		state PathState
	}{
		{"its own port", both, Port{Relative: 257}, 2, NonOptimized},
		{"the other's port", both, Port{Relative: 2, Guest: true}, 1, Optimized},
		{"a port of nobody", both, Port{Relative: 3, Guest: true}, 0, Unavailable},
		{"its own port is no guest's", both, Port{Relative: 257, Guest: true}, 0, Unavailable},
		{"a unit of this array alone", one, Port{Relative: 257}, 2, Optimized},
		{"the same, at the other's port", one, Port{Relative: 1, Guest: true}, 0, Unavailable},
		{"no paths", nil, Port{Relative: 1, Guest: true}, 0, Unavailable},
	} {
		if g := x.paths.at(x.port); g.ID != x.id || g.State != x.state {
			t.Errorf("%s: group %d, state %d; want %d, %d", x.what, g.ID, g.State, x.id, x.state)
		}
	}
}
