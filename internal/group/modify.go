// SPDX-License-Identifier: Apache-2.0

package group

import (
	"bytes"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/scsi"
)

// A COMPARE AND WRITE or ORWRITE reads, decides and writes as one: it holds its
// range from before the read until its record has a place, starts only when no
// overlapping record is unapplied, and is logged as plain data.

func overlap(aOff, aLen, bOff, bLen int64) bool { return aOff < bOff+bLen && bOff < aOff+aLen }

func (g *Group) overlapsRunning(w *work) bool {
	for _, b := range g.busy {
		if b != w && b.unit == w.unit && overlap(b.m.Offset, b.m.Length, w.m.Offset, w.m.Length) {
			return true
		}
	}
	return false
}

// startModify begins the read. It reports true only if w is finished.
func (g *Group) startModify(w *work) bool {
	for _, e := range g.tail {
		if e.rec.Volume == w.unit.id.Volume && overlap(e.rec.Offset, e.rec.Length, w.m.Offset, w.m.Length) {
			return false
		}
	}
	b, ok := g.cfg.Buffers.Get(int(w.m.Length))
	if !ok {
		return false
	}
	w.running = true
	g.unbusy(w)
	g.busy = append(g.busy, w)
	period, _ := g.leaseFor(g.view.Role, g.theirGrant)
	gate := g.gate.Load()
	g.modifying.Go(func() {
		err := w.unit.fetch(b.Bytes(), w.m.Offset)
		if !g.post(func() { g.modified(w, b, gate, period, err) }) {
			b.Release() // the group closes, and answers
		}
	})
	return false
}

// modified goes on with what startModify read under a gate and a lease period.
func (g *Group) modified(w *work, b *block.Buffer, read *gate, period uint64, err error) {
	w.running = false
	if w.killed != nil {
		b.Release()
		g.drop(w)
		w.finish(w.killed)
		return
	}
	if err == nil && w.op.Cancelled() {
		b.Release()
		return
	}
	if now, ok := g.leaseFor(g.view.Role, g.theirGrant); !ok || now != period || g.gate.Load() != read {
		b.Release() // another period or epoch began: read again
		return
	}
	if err != nil && array.KindOf(err) == array.Busy {
		b.Release() // a damaged page is being repaired: read again
		return
	}
	w.buf, w.gate = b, read
	if err == nil {
		err = w.modify()
	}
	if array.KindOf(err) == array.Miscompare && g.isRepeat(w) {
		g.drop(w)
		w.finish(nil)
		return
	}
	if err != nil {
		g.drop(w)
		w.finish(err)
	}
}

// modify turns the old data in w.buf into the new, or says why not.
func (w *work) modify() error {
	old, data := w.buf.Bytes(), w.m.Data.Bytes()
	if w.m.Kind == scsi.Or {
		for i := range old {
			old[i] |= data[i]
		}
		return nil
	}
	want := w.m.Compare.Bytes()
	if !bytes.Equal(old, want) {
		i := 0
		for old[i] == want[i] {
			i++
		}
		return &array.Error{Kind: array.Miscompare, Text: "the data differ", Offset: int64(i)}
	}
	copy(old, data)
	return nil
}

// stale drops what was read under another gate; it must be read again.
func (g *Group) stale(w *work) bool {
	if w.buf == nil || w.gate == g.gate.Load() {
		return false
	}
	w.buf.Release()
	w.buf = nil
	return true
}

func (g *Group) unbusy(w *work) {
	for i, x := range g.busy {
		if x == w {
			g.busy = append(g.busy[:i], g.busy[i+1:]...)
			return
		}
	}
}

func (g *Group) drop(w *work) {
	for i, x := range g.waiting {
		if x == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}
