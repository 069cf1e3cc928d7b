// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/test/bench/report"
)

const (
	// span is how much of a volume, and of fio's file, the loads touch.
	span = 1 << 30
	// lead is how long a load runs before its commands count.
	lead = 300 * time.Millisecond
	// writeAll is the load that fills a volume before it is measured.
	writeAll = 1 << 20
)

// benchRates measures the loads of the variants, by turns with fio.
func (b *bench) benchRates() error {
	var all []rate
	for _, r := range rates() {
		if b.wanted(r.title()) {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil
	}
	p, err := newPeer(filepath.Join(b.dir, "fio"), span)
	if err != nil {
		return err
	}
	e, err := openEngine(filepath.Join(b.dir, "rates"), journalSize)
	if err != nil {
		return err
	}
	<-e.jnl.Prepared()
	for n, v := range variants() {
		if !slices.ContainsFunc(all, func(r rate) bool { return r.variant == v.name }) {
			continue
		}
		if err := b.benchVariant(e, p, v, uint32(n+1), all); err != nil {
			_ = e.close()
			return fmt.Errorf("variant %s: %w", v.name, err)
		}
	}
	return e.close()
}

func (r rate) title() string { return fmt.Sprintf("%s-%s-qd%d", r.variant, r.load.name, r.load.depth) }

func (b *bench) benchVariant(e *engine, p *peer, v variant, n uint32, all []rate) error {
	u, err := v.make(e, n, span)
	if err != nil {
		return err
	}
	dr := &driver{u: u, buffers: e.buffers, span: span, seed: uint64(n) << 32}
	if err := dr.fill(); err != nil {
		return err
	}
	if err := e.pool.Flush(array.MakeGroupID(system, n)); err != nil {
		return err
	}
	if v.aged != nil {
		if err := v.aged(e, u); err != nil {
			return err
		}
	}
	for _, r := range all {
		if r.variant != v.name {
			continue
		}
		if err := b.compare(e, dr, p, r, array.MakeGroupID(system, n)); err != nil {
			return fmt.Errorf("%s: %w", r.title(), err)
		}
	}
	return nil
}

// fill writes all of the span once, in order.
func (dr *driver) fill() error {
	dr.seed++
	w := newWorker(dr, load{write: true, block: writeAll, depth: 1}, 0, dr.seed)
	for range dr.span / writeAll {
		if err := w.step(); err != nil {
			return fmt.Errorf("fill the volume: %w", err)
		}
	}
	return nil
}

// compare lets the engine and fio work by turns.
func (b *bench) compare(e *engine, dr *driver, p *peer, r rate, g array.GroupID) error {
	var ours, drained, peers []float64
	unit := ""
	for round := range b.rounds {
		began, before := time.Now(), dr.ops.Load()
		one, err := dr.run(r.load, lead, b.time)
		if err != nil {
			return err
		}
		// What is left for later must not disturb the peer.
		if err := e.pool.Flush(g); err != nil {
			return err
		}
		all := float64(dr.ops.Load()-before) / time.Since(began).Seconds()
		other, err := p.run(r.load, b.time)
		if err != nil {
			return err
		}
		one, unit = r.load.value(one)
		all, _ = r.load.value(all)
		other, _ = r.load.value(other)
		ours, drained, peers = append(ours, one), append(drained, all), append(peers, other)
		b.note("%s round %d: %.0f %s (%d us of the processors each, the slowest took %d ms), with all on pages %.0f, fio %.0f",
			r.title(), round+1, one, unit, dr.cpu.Microseconds(), dr.slowest.Milliseconds(), all, other)
	}
	if n := dr.busy.Swap(0); n > 0 {
		b.note("%s: %d commands were answered BUSY", r.title(), n)
	}
	b.lines = append(b.lines, report.Compared(r.title(), unit, ours, peers, report.Budget{Sense: report.AtLeast, Limit: r.least}))
	if r.drained > 0 {
		b.lines = append(b.lines, report.Compared(r.title()+"-drained", unit, drained, peers, report.Budget{Sense: report.AtLeast, Limit: r.drained}))
	}
	return e.failure()
}
