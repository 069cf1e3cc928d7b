// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
)

func runNothing(c *Command) { c.end(nil) }

func runRead(c *Command) {
	if c.length == 0 {
		c.end(nil)
		return
	}
	// It may have waited for a limit or a turn, and lost its right meanwhile.
	if r := c.unit.Reservations(); r.Revision > c.gen {
		ok, gen := c.allowed(r)
		if !ok {
			c.refuse(array.Errorf(array.Reserved, "reserved"))
			return
		}
		c.gen = gen
	}
	if err := c.buffer(int(c.length)); err != nil {
		c.end(err)
		return
	}
	c.step(func(op *Op) { c.unit.Read(op, c.off, c.In, c.finish) })
}

func runWrite(c *Command) { c.mutate(Write) }

func runOr(c *Command) { c.mutate(Or) }

// mutate stores Out in one mutation, so all of it or nothing.
func (c *Command) mutate(k MutationKind) {
	if c.length == 0 {
		c.end(nil)
		return
	}
	m := Mutation{Kind: k, Offset: c.off, Length: c.length, Data: c.Out}
	c.step(func(op *Op) { c.unit.Mutate(op, m, c.finish) })
}

// runCompare is COMPARE AND WRITE: the first half of the data is what must be
// there, the second what then is.
func runCompare(c *Command) {
	if c.length == 0 {
		c.end(nil)
		return
	}
	if c.second == nil {
		b, ok := c.nexus.buffers.Get(int(c.length))
		if !ok {
			c.end(c.noRoom())
			return
		}
		copy(b.Bytes(), c.Out.Bytes()[c.length:])
		c.Out.Resize(int(c.length))
		c.second = b
	}
	m := Mutation{Kind: CompareAndWrite, Offset: c.off, Length: c.length, Compare: c.Out, Data: c.second}
	c.step(func(op *Op) {
		id := op.ID
		c.unit.Mutate(op, m, func(err error) {
			if u, ok := c.unit.(Acknowledger); ok && err == nil {
				nexus := c.nexus.Nexus
				c.Acknowledged = func() { u.Acknowledged(nexus, id) }
			}
			c.finish(err)
		})
	})
}

// runWriteVerify stores the data and reads them back. What is read may be newer
// already, so only that it can be read is judged.
func runWriteVerify(c *Command) {
	if c.length == 0 {
		c.end(nil)
		return
	}
	m := Mutation{Kind: Write, Offset: c.off, Length: c.length, Data: c.Out}
	c.step(func(op *Op) {
		c.unit.Mutate(op, m, func(err error) {
			if err != nil {
				c.finish(err)
				return
			}
			c.readBack(c.endQuietly)
		})
	})
}

// readBack reads the command's range for a look, not for the host.
func (c *Command) readBack(then func()) {
	if err := c.buffer(int(c.length)); err != nil {
		c.end(err)
		return
	}
	c.step(func(op *Op) {
		c.unit.Read(op, c.off, c.In, func(err error) {
			if err != nil {
				c.finish(err)
				return
			}
			then()
			// then has ended the command; nothing may follow.
		})
	})
}

// runVerify reads the range and with BYTCHK compares it with the host's data.
func runVerify(c *Command) {
	if c.length == 0 {
		c.end(nil)
		return
	}
	c.readBack(func() {
		at := int64(-1)
		if c.Out != nil {
			at = firstDifference(c.In, c.Out.Bytes())
		}
		if at >= 0 {
			c.end(&array.Error{Kind: array.Miscompare, Text: "verify", Offset: at})
			return
		}
		c.endQuietly()
	})
}

// firstDifference compares data with want, repeated as often as needed.
func firstDifference(data, want []byte) int64 {
	for base := 0; base < len(data); base += len(want) {
		part := data[base:min(base+len(want), len(data))]
		if string(part) == string(want[:len(part)]) {
			continue
		}
		for i := range part {
			if part[i] != want[i] {
				return int64(base + i)
			}
		}
	}
	return -1
}

// runSame is WRITE SAME. Zeros, the usual case, are one mutation; another pattern
// is written out, a buffer at a time.
func runSame(c *Command) {
	const unmap = 0x08
	kind := Zero
	if c.CDB[1]&unmap != 0 {
		kind = Unmap
	}
	if c.Out == nil || isZero(c.Out.Bytes()) {
		m := Mutation{Kind: kind, Offset: c.off, Length: c.length}
		c.step(func(op *Op) { c.unit.Mutate(op, m, c.finish) })
		return
	}
	n := min(c.length, block.MaxIO)
	b, ok := c.nexus.buffers.Get(int(n))
	if !ok {
		c.end(c.noRoom())
		return
	}
	for i := 0; i < len(b.Bytes()); i += block.Sector {
		copy(b.Bytes()[i:], c.Out.Bytes())
	}
	if c.second != nil {
		c.second.Release() // an earlier round's
	}
	c.second = b
	c.fill(0)
}

// fill writes the pattern in second from done bytes into the range on.
func (c *Command) fill(done int64) {
	n := min(c.length-done, int64(c.second.Len()))
	if n == 0 {
		c.end(nil)
		return
	}
	c.second.Resize(int(n)) // only the last step is shorter
	m := Mutation{Kind: Write, Offset: c.off + done, Length: n, Data: c.second}
	c.step(func(op *Op) {
		c.unit.Mutate(op, m, func(err error) {
			if err != nil {
				c.finish(err)
				return
			}
			c.fill(done + n)
		})
	})
}

func isZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
