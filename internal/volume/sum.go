// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"

	"github.com/perdure/perdure/internal/block"
)

// blockSum is the checksum of a block of a page: CRC32C of its second half and then its
// first. Blocks that end with their own CRC32C, as hosts like to write them, all have
// the same CRC32C, so that one of them in the place of another, by a lost or misdirected
// write, would pass. Turned around they differ.
func blockSum(b []byte) uint32 {
	half := len(b) / 2
	return block.ChecksumUpdate(block.Checksum(b[half:]), b[:half])
}

// PageSum is the checksum of a page's content, made of those of its blocks.
func PageSum(page []byte) uint32 {
	var sums [4 * pageUnits]byte
	for i := range pageUnits {
		binary.BigEndian.PutUint32(sums[4*i:], blockSum(page[i*unitSize:(i+1)*unitSize]))
	}
	return block.Checksum(sums[:])
}
