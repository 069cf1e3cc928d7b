// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/perdure/perdure/internal/block"
)

// prepare decides how each page is stored: as zeros, with others, packed or plain. What it
// says of a change's units but where they are is final then, with their checksums. p.single
// is held.
func (p *Pool) prepare(changes []change) error {
	p.inParts(changes, func(part []change, _, _ []byte) {
		for i := range part {
			part[i].look()
			breathe(&part[i])
		}
	})
	if err := p.findSame(changes); err != nil {
		return err
	}
	p.inParts(changes, func(part []change, room, small []byte) {
		for i := range part {
			room = room[part[i].layOut(room, small):]
			breathe(&part[i])
		}
	})
	return nil
}

// inParts calls fn with as many parts of the changes as there are processors, side by side,
// if they are to be packed or compared, which takes a processor longer than the disk. Each
// has room of its own for its content, as long as its pages together.
func (p *Pool) inParts(changes []change, fn func(part []change, room, small []byte)) {
	n := 1
	if len(changes) > 0 && changes[0].v.Spec().dense() {
		n = min(runtime.GOMAXPROCS(0), len(changes))
	}
	for len(p.small) < n {
		p.small = append(p.small, make([]byte, s2.MaxEncodedLen(block.Page)))
	}
	room := p.packingRoom()
	part := func(k int) {
		from, to := k*len(changes)/n, (k+1)*len(changes)/n
		fn(changes[from:to], room[from*block.Page:to*block.Page], p.small[k])
	}
	var wg sync.WaitGroup
	for k := 1; k < n; k++ {
		wg.Go(func() { part(k) })
	}
	part(0)
	wg.Wait()
}

// dense reports whether a volume's pages are packed or compared with others.
func (s VolumeSpec) dense() bool { return s.Compress || s.Provisioning == Dedup }

// breathe lets others run between two pages of which each takes a processor some time: if
// all processors were here, hosts would wait for the whole batch.
func breathe(c *change) {
	if c.print != nil || c.e.packed {
		runtime.Gosched()
	}
}

// look looks at a change's content alone.
func (c *change) look() {
	if c.adopted || c.split() {
		return
	}
	if c.data == nil || c.bad == 0 && isZero(c.data) {
		c.data, c.e.kind = nil, zeroes
		return
	}
	c.e.kind = stored
	spec := c.v.Spec()
	if !spec.dense() && c.bad == 0 && hasZeros(c.data) {
		c.blocks = everyBlock
	}
	if spec.Provisioning == Dedup && c.bad == 0 {
		c.print = fingerprintOf(c.data)
	}
}

// layOut puts together what is to be written of a change, in room if it is not the page as
// it is, and returns how much of that it took. small is what it may use meanwhile.
func (c *change) layOut(room, small []byte) (took int) {
	switch {
	case c.adopted || c.shared || c.same != nil:
		return 0
	case c.split():
		return c.splitPage(room)
	case c.data == nil:
		return 0
	}
	c.bytes, c.e.length, c.e.packed = c.data, block.Page, false
	if c.bad == 0 && c.v.Spec().Compress {
		took = c.pack(room, small)
	}
	if c.print != nil && !c.e.packed {
		c.e.crc = c.print.sums()
		return took
	}
	for u := range len(c.bytes) / unitSize {
		c.sum(u, c.bytes[u*unitSize:(u+1)*unitSize])
	}
	return took
}

// sum sets the checksum of a stored unit.
func (c *change) sum(u int, b []byte) {
	c.e.crc[u] = blockSum(b)
	if c.bad>>u&1 == 1 {
		c.e.crc[u] = ^c.e.crc[u]
	}
}
