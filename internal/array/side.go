// SPDX-License-Identifier: Apache-2.0

package array

// Side is one of the two arrays of a pair. The array with the smaller SystemID
// is SideA, so both name the same one without being told.
type Side uint8

// The two sides.
const (
	SideA Side = 0
	SideB Side = 1
)

// Other returns the opposite side.
func (s Side) Other() Side { return 1 - s }

// String returns A or B.
func (s Side) String() string {
	if s == SideA {
		return "A"
	}
	return "B"
}

// SideOf returns the side of array self in its pair with peer.
func SideOf(self, peer SystemID) Side {
	if peer == 0 || self < peer {
		return SideA
	}
	return SideB
}

// Members is the set of sides whose copy is current: bit 0 is SideA.
type Members uint8

// The memberships there are; a group always has at least one member.
const (
	OnlyA Members = 1
	OnlyB Members = 2
	Both  Members = 3
)

// Only returns the membership of s alone.
func Only(s Side) Members { return Members(1) << s }

// Has reports whether s is a member.
func (m Members) Has(s Side) bool { return m&Only(s) != 0 }

// Valid reports whether m is one of the three memberships.
func (m Members) Valid() bool { return m >= OnlyA && m <= Both }

// String returns {A}, {B} or {A,B}.
func (m Members) String() string {
	switch m {
	case OnlyA:
		return "{A}"
	case OnlyB:
		return "{B}"
	case Both:
		return "{A,B}"
	}
	return "{}"
}
