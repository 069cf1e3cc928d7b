// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/witness"
)

// Each start of an array is numbered and has random bits. The witness keeps the
// newest start it saw of each array. An array that finds its own number there with
// other bits, or a larger one, runs on a disk of the past: what it acknowledged
// since is missing. It must not decide anything with the witness alone; it may
// still meet the other array, which finds out what is missing.

func startKey(s array.SystemID) string { return "start/" + s.String() }

// checkStart compares this start with what the witness knows, once per
// incarnation. It reports whether the witness may be used.
func (p *Pair) checkStart(ctx context.Context, in witness.Incarnation) bool {
	if p.w.checked == in {
		return !p.w.restored
	}
	self := p.cfg.Link.Self
	key := startKey(self.System)
	now, regs, err := p.cfg.Witness.Read(ctx, []string{key})
	if err != nil || now != in || regs[0].Result != witness.OK {
		return false
	}
	if v := regs[0].Value; regs[0].Version != 0 && len(v) == 16 {
		count, bits := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
		if count > self.Start.Count || count == self.Start.Count && bits != self.Start.Nonce {
			p.w.checked, p.w.restored = in, true
			p.event("this array runs on a disk of the past: the witness knows a later start of it; it serves nothing until the other array was met")
			return false
		}
	}
	v := binary.BigEndian.AppendUint64(nil, self.Start.Count)
	v = binary.BigEndian.AppendUint64(v, self.Start.Nonce)
	out, err := p.cfg.Witness.Swap(ctx, in, []witness.Swap{{Key: key, Version: regs[0].Version, Value: v, Owners: p.cfg.Owners}})
	if err != nil || out[0].Result != witness.OK {
		return false
	}
	p.w.checked, p.w.restored = in, false
	return true
}
