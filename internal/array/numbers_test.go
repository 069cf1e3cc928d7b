// SPDX-License-Identifier: Apache-2.0

package array

import "testing"

// TestNumbersAreUniqueOverAPair, the same on both arrays, and small.
func TestNumbersAreUniqueOverAPair(t *testing.T) {
	const low, high = SystemID(7), SystemID(4000000000)
	seen := map[uint64]VolumeID{}
	for _, creator := range []SystemID{low, high} {
		for count := uint32(1); count <= 100; count++ {
			id := MakeVolumeID(creator, count)
			n := NumberOf(uint64(id), low, high)
			if o := NumberOf(uint64(id), high, low); o != n {
				t.Fatalf("%v is %d on one array and %d on the other", id, n, o)
			}
			if n == 0 || n > 200 || seen[n] != 0 {
				t.Fatalf("%v is %d, as is %v", id, n, seen[n])
			}
			seen[n] = id
		}
	}
	if id := uint64(MakeVolumeID(99, 1)); NumberOf(id, low, high) != id || NumberOf(id, 99, 0) != 1 {
		t.Error("what a stranger created has a number of this pair")
	}
}
