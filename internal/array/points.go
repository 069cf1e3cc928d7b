// SPDX-License-Identifier: Apache-2.0

package array

// MaxCount is how many objects an array may count: the upper half of the numbers below
// its SystemID names what belongs to an object.
const MaxCount = 1<<30 - 1

// PointID returns the id of a snapshot of volume v that a periodic group takes for itself.
// There are two, which are used in turn: slot is 0 or 1.
func PointID(v VolumeID, slot int) VolumeID {
	return MakeVolumeID(SystemID(v>>32), 1<<31|(uint32(v)&MaxCount)<<1|uint32(slot&1))
}

// IsPoint reports whether an id is one of PointID.
func IsPoint(v VolumeID) bool { return uint32(v)>>31 == 1 }
