// SPDX-License-Identifier: Apache-2.0

package array

import "hash/fnv"

// NumberOf is the small number by which people know a volume or group of a pair: the same
// on both arrays, and never that of another one. Each array counts what it creates, so
// side A's are the odd numbers and side B's the even ones. What neither of them created
// keeps its whole id, which is far beyond both.
func NumberOf(id uint64, self, peer SystemID) uint64 {
	s := SideOf(self, peer)
	switch creator := SystemID(id >> 32); {
	case creator == self:
	case creator == peer && peer != 0:
		s = s.Other()
	default:
		return id
	}
	return 2*(id&(1<<32-1)) - 1 + uint64(s)
}

// NumberOfName is a number for what has only a name: stable, and the same on both arrays.
func NumberOfName(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return h.Sum32() &^ (1 << 31)
}
