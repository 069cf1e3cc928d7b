// SPDX-License-Identifier: Apache-2.0

package vfs

// chunkSize is what a file in memory is made of: parts that were never written take none.
const chunkSize = 4096

// content is what a file holds. Chunks are shared between what a file holds now, what of it
// is on the disk, and clones of that; whoever changes one that is not its own copies it.
type content struct {
	size   int64
	chunks []*chunk // nil: zeros
}

type chunk struct {
	data [chunkSize]byte
	own  *memNode // whose now alone has it; nil once it is shared
}

// grow makes it at least so long.
func (c *content) grow(size int64) {
	if size <= c.size {
		return
	}
	c.size = size
	if n := int((size + chunkSize - 1) / chunkSize); n > len(c.chunks) {
		c.chunks = append(c.chunks, make([]*chunk, n-len(c.chunks))...)
	}
}

// read copies what is at off into b, all of which lies within the size.
func (c *content) read(b []byte, off int64) {
	for len(b) > 0 {
		at := off % chunkSize
		n := int(min(int64(len(b)), chunkSize-at))
		if k := c.chunks[off/chunkSize]; k != nil {
			copy(b[:n], k.data[at:])
		} else {
			clear(b[:n])
		}
		b, off = b[n:], off+int64(n)
	}
}

// write copies b to off, all of which lies within the size. Chunks that aren't own's are
// copied first, and are own's then.
func (c *content) write(b []byte, off int64, own *memNode) {
	for len(b) > 0 {
		at := off % chunkSize
		n := copy(c.chunk(off/chunkSize, own).data[at:], b)
		b, off = b[n:], off+int64(n)
	}
}

// chunk returns a chunk that may be changed.
func (c *content) chunk(i int64, own *memNode) *chunk {
	k := c.chunks[i]
	if k == nil {
		k = &chunk{own: own}
	} else if k.own != own {
		k = &chunk{data: k.data, own: own}
	}
	c.chunks[i] = k
	return k
}

// share lets chunks from the first on be had by others.
func (c *content) share(first int) {
	for _, k := range c.chunks[min(first, len(c.chunks)):] {
		if k != nil {
			k.own = nil
		}
	}
}

// flip turns over one bit, in a chunk of nobody's own.
func (c *content) flip(bit int64) {
	k := &chunk{}
	if old := c.chunks[bit/8/chunkSize]; old != nil {
		k.data = old.data
	}
	k.data[bit/8%chunkSize] ^= 1 << (bit % 8)
	c.chunks[bit/8/chunkSize] = k
}
