// SPDX-License-Identifier: Apache-2.0

package pair

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/witness"
)

// Each start of an array is numbered and has random bits. The witness keeps the
// newest start it saw of each array. An array that finds its own number there with
// other bits, or a larger one, runs on a disk of the past: what it acknowledged
// since is missing, and what it stored about deciding alone may have been undone. It
// decides nothing and serves nothing until it has met the other array, which finds
// out what is missing, or a newer record at the witness. Until the first answer, or
// its absence, it doesn't know, and waits.

func startKey(s array.SystemID) string { return "start/" + s.String() }

// checkStart compares this start with what the witness knows, once per
// incarnation. It reports whether that is done.
func (p *Pair) checkStart(ctx context.Context, w *witness.Client, in witness.Incarnation) bool {
	if p.w.checked == in || p.w.past {
		return true
	}
	self := p.cfg.Link.Self
	key := startKey(self.System)
	now, regs, err := w.Read(ctx, []string{key}, witness.Incarnation{}, nil)
	if err != nil || now != in || regs[0].Result != witness.OK {
		return false
	}
	if v := regs[0].Value; regs[0].Version != 0 && len(v) == 16 {
		count, bits := binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
		if count > self.Start.Count || count == self.Start.Count && bits != self.Start.Nonce {
			return p.pastFound(in, count)
		}
	}
	v := binary.BigEndian.AppendUint64(nil, self.Start.Count)
	v = binary.BigEndian.AppendUint64(v, self.Start.Nonce)
	out, err := w.Swap(ctx, in, []witness.Swap{{Key: key, Version: regs[0].Version, Value: v, Owners: p.cfg.Owners}})
	if err != nil || out[0].Result != witness.OK {
		if err == nil && p.w.tries == 0 {
			p.alarm("the quorum witness refuses to note this array's start: " + string(out[0].Result))
		}
		return false
	}
	p.w.checked = in
	p.setStart(false)
	return true
}

// pastFound: this array runs on a disk of the past. When all its groups have stored
// that they are doubted, the count of starts is raised, so that a later start is not
// doubted again for this one.
func (p *Pair) pastFound(in witness.Incarnation, count uint64) bool {
	if _, told := p.w.start(); !told {
		p.alarm("this array runs on a disk of the past: the witness knows a later start of it; it serves nothing until it was compared with the other array")
	}
	p.setStart(true)
	var failed error
	p.each(func(g Group) { failed = errors.Join(failed, g.Doubted(true)) })
	if failed == nil {
		failed = p.cfg.RaiseStarts(count)
	}
	if failed != nil {
		p.cfg.Logger.Error("note that this disk is of the past", "err", failed)
		return false
	}
	p.w.checked, p.w.past = in, true
	return true
}

func (p *Pair) setStart(restored bool) {
	p.w.mu.Lock()
	was, old := p.w.known, p.w.restored
	p.w.known, p.w.restored = true, restored || old
	p.w.mu.Unlock()
	if !was || restored && !old {
		p.each(func(g Group) { _ = g.Doubted(restored) }) // one that closes needs no telling
	}
}

// startTries is how often the start is tried to be compared before the groups go on
// without: each takes as long as a request may.
const startTries = 2

// tellStart lets the groups go on if the witness can't be asked.
func (p *Pair) tellStart(compared bool) {
	if compared {
		return
	}
	if known, _ := p.w.start(); !known {
		if p.w.tries++; p.w.tries >= startTries {
			p.setStart(false)
		}
	}
}
