// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Block is what a stamp covers.
const Block = 4096

// magic begins every block.
const magic = 0x5045524455524531

// A stamp says which write a block's content comes from.
type stamp struct {
	run, disk, block, sequence uint64
}

// fill writes the content of b, one Block long.
func (s stamp) fill(b []byte, table *crc32.Table) {
	binary.LittleEndian.PutUint64(b, magic)
	binary.LittleEndian.PutUint64(b[8:], s.run)
	binary.LittleEndian.PutUint64(b[16:], s.disk)
	binary.LittleEndian.PutUint64(b[24:], s.block)
	binary.LittleEndian.PutUint64(b[32:], s.sequence)
	// xorshift64: neither compressible nor the same for two writes.
	x := s.run ^ s.block*0x9E3779B97F4A7C15 ^ s.sequence*0xBF58476D1CE4E5B9 | 1
	for i := 40; i < Block-8; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	binary.LittleEndian.PutUint64(b[Block-8:], uint64(crc32.Checksum(b[:Block-8], table)))
}

var (
	errTorn    = errors.New("the block is not as it was written")
	errForeign = errors.New("the block is another's")
)

// sequenceOf returns which write the content of b comes from; 0 if it is all zeros,
// as before the first.
func (s stamp) sequenceOf(b []byte, table *crc32.Table) (uint64, error) {
	if len(b) != Block {
		return 0, fmt.Errorf("%d bytes, want %d", len(b), Block)
	}
	if binary.LittleEndian.Uint64(b) == 0 {
		for _, v := range b {
			if v != 0 {
				return 0, errTorn
			}
		}
		return 0, nil
	}
	if binary.LittleEndian.Uint64(b[Block-8:]) != uint64(crc32.Checksum(b[:Block-8], table)) || binary.LittleEndian.Uint64(b) != magic {
		return 0, errTorn
	}
	got := stamp{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint64(b[32:])}
	if got.run != s.run || got.disk != s.disk || got.block != s.block || got.sequence == 0 {
		return 0, fmt.Errorf("%w: want run %x, disk %d, block %d, have %x, %d, %d", errForeign, s.run, s.disk, s.block, got.run, got.disk, got.block)
	}
	return got.sequence, nil
}
