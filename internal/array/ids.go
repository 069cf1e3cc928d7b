// SPDX-License-Identifier: Apache-2.0

package array

import (
	"fmt"
	"strconv"
)

// SystemID identifies an array. It is chosen when the array is set up, shown to
// people in decimal (the "r<sysid>" of a secondary group's name) and must differ
// between the arrays of a pair. Zero is no array.
type SystemID uint32

// String returns the id in decimal.
func (s SystemID) String() string { return strconv.FormatUint(uint64(s), 10) }

// GroupID identifies a group on every array that has it. The upper 32 bits are
// the SystemID of the array that created it, the lower a counter there.
type GroupID uint64

// String returns the id as creator:counter, in decimal.
func (g GroupID) String() string { return pairOf(uint64(g)) }

// VolumeID identifies a virtual volume, the same on both arrays. It is built
// like a GroupID.
type VolumeID uint64

// String returns the id as creator:counter, in decimal.
func (v VolumeID) String() string { return pairOf(uint64(v)) }

// MakeGroupID returns the id of the n-th group that array s creates.
func MakeGroupID(s SystemID, n uint32) GroupID { return GroupID(uint64(s)<<32 | uint64(n)) }

// MakeVolumeID returns the id of the n-th volume that array s creates.
func MakeVolumeID(s SystemID, n uint32) VolumeID { return VolumeID(uint64(s)<<32 | uint64(n)) }

func pairOf(v uint64) string { return fmt.Sprintf("%d:%d", v>>32, uint32(v)) }

// StartID names one run of one daemon process: a durable counter that grows by
// one at each start, and random bits. A process that shows a counter the others
// have seen with other bits, or a smaller one, runs on a restored disk.
type StartID struct {
	// Count is the number of this start, from 1.
	Count uint64
	// Nonce is drawn at random at each start.
	Nonce uint64
}

// String returns count/nonce, the nonce in hexadecimal.
func (s StartID) String() string { return fmt.Sprintf("%d/%016x", s.Count, s.Nonce) }

// WWN is the world wide name of a volume: an NAA type 6 (IEEE Registered
// Extended) designator of 16 bytes, SPC-4 7.8.6.6.5. Both arrays report the same.
type WWN [16]byte

// String returns the name in 32 hexadecimal digits.
func (w WWN) String() string { return fmt.Sprintf("%x", w[:]) }

// oui stands in the vendor field of every WWN. It has the locally administered
// bit set, so it can't be anybody's assigned identifier.
const oui = 0x0270D5

// MakeWWN returns the name of volume v: NAA 6, the identifier above, and the
// volume's id, which is unique over all arrays.
func MakeWWN(v VolumeID) WWN {
	var w WWN
	w[0] = 6<<4 | byte(oui>>20&0xf)
	w[1] = byte(oui >> 12 & 0xff)
	w[2] = byte(oui >> 4 & 0xff)
	w[3] = byte(oui&0xf) << 4
	for i := range 8 {
		w[15-i] = byte(uint64(v) >> (8 * i))
	}
	return w
}
