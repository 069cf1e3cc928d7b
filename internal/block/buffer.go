// SPDX-License-Identifier: Apache-2.0

package block

import (
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

const (
	// Sector is the logical block length that hosts see.
	Sector = 512
	// Align is the alignment of every buffer.
	Align = 4096
	// Page is the unit of the pools: of thin provisioning, checksums and births.
	Page = 16384
	// MaxIO is the largest payload that travels in one buffer.
	MaxIO = 1 << 20
	// MaxBuffer is the largest buffer: MaxIO with room for headers beside it.
	MaxBuffer = MaxIO + 64<<10
)

// castagnoli is a constant in all but name: the table of CRC32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC32C of p.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// ChecksumUpdate returns the CRC32C of the bytes summed up in crc followed by p.
func ChecksumUpdate(crc uint32, p []byte) uint32 { return crc32.Update(crc, castagnoli, p) }

// A Buffer is a counted reference to aligned memory of a Pool.
type Buffer struct {
	mem   []byte // the whole class size
	n     int    // length of Bytes
	class int
	refs  atomic.Int32
	pool  *Pool
	// share is whose account the buffer is on, owned whether on its guarantee's.
	share *Share
	owned bool
}

// Bytes returns the buffer's content, of the length asked for.
func (b *Buffer) Bytes() []byte { return b.mem[:b.n] }

// Len returns the length of Bytes.
func (b *Buffer) Len() int { return b.n }

// Retain adds a reference. Only a holder may call it.
func (b *Buffer) Retain() {
	if b.refs.Add(1) <= 1 {
		panic("block: Retain of a released buffer")
	}
}

// Release gives up a reference; the last one returns the memory to the pool.
func (b *Buffer) Release() {
	switch n := b.refs.Add(-1); {
	case n == 0:
		b.pool.put(b)
	case n < 0:
		// Going on would hand the same memory to two commands.
		panic("block: buffer released more often than retained")
	}
}

// Resize sets the length of Bytes to n, at most the length asked for at Get. The
// pool still counts the whole buffer.
func (b *Buffer) Resize(n int) {
	if n < 0 || n > b.n {
		panic(fmt.Sprintf("block: Resize of %d bytes to %d", b.n, n))
	}
	b.n = n
}

// Zero clears the content.
func (b *Buffer) Zero() { clear(b.mem[:b.n]) }
