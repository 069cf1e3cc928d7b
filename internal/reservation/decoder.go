// SPDX-License-Identifier: Apache-2.0

package reservation

import (
	"encoding/binary"
	"fmt"
)

// decoder reads fields off b and remembers the first failure.
type decoder struct {
	b   []byte
	err error
}

// take returns the next n bytes, or zeros once the encoding was too short.
func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) < n {
		if d.err == nil {
			d.err = errShort
		}
		return make([]byte, n)
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) u8() byte    { return d.take(1)[0] }
func (d *decoder) u16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *decoder) flags() (a, b bool) {
	f := d.u8()
	if f > 3 && d.err == nil {
		d.err = fmt.Errorf("flags %#x are unknown", f)
	}
	return f&1 != 0, f&2 != 0
}

// count reads the length of a list of at most limit.
func (d *decoder) count(limit int) int {
	n := int(d.u16())
	if n > limit {
		if d.err == nil {
			d.err = fmt.Errorf("a list of %d, the limit is %d", n, limit)
		}
		return 0
	}
	return n
}

func (d *decoder) name() string {
	n := int(d.u16())
	if n > MaxName {
		if d.err == nil {
			d.err = fmt.Errorf("a name of %d bytes, the limit is %d", n, MaxName)
		}
		return ""
	}
	return string(d.take(n))
}

func (d *decoder) nexus() Nexus { return Nexus{d.name(), d.u16()} }

// end returns the first failure; bytes left over are one.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.b))
	}
	return d.err
}
