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

// benchRates measures the loads of the variants, by turns with fio or the first of them.
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
	if err := b.benchVariants(e, p, all); err != nil {
		_ = e.close()
		return err
	}
	return e.close()
}

// benchVariants compares the first variant with fio, and the others with the first.
func (b *bench) benchVariants(e *engine, p *peer, all []rate) error {
	var first opponent = p
	for n, v := range variants() {
		if n > 0 && !slices.ContainsFunc(all, func(r rate) bool { return r.variant == v.name }) {
			continue
		}
		dr, err := b.benchVariant(e, first, v, uint32(n+1), all)
		if err != nil {
			return fmt.Errorf("variant %s: %w", v.name, err)
		}
		if n == 0 {
			first = &plain{e, dr, array.MakeGroupID(system, 1)}
		}
	}
	return nil
}

// opponent is what a volume is compared with: it returns the commands per second, and what
// one took of the processors.
type opponent interface {
	run(l load, d time.Duration) (float64, time.Duration, error)
}

// plain is the volume that the other variants are compared with.
type plain struct {
	e  *engine
	dr *driver
	id array.GroupID
}

func (p *plain) run(l load, d time.Duration) (float64, time.Duration, error) {
	began, before := time.Now(), p.dr.ops.Load()
	iops, err := p.dr.run(l, lead, d)
	if err != nil {
		return 0, 0, err
	}
	if err := p.e.pool.Flush(p.id); err != nil {
		return 0, 0, err
	}
	p.dr.drained = float64(p.dr.ops.Load()-before) / time.Since(began).Seconds()
	return iops, p.dr.cpu, nil
}

// drainedOf is what an opponent's last run was with all on pages; fio's writes are there.
func drainedOf(p opponent, iops float64) float64 {
	if x, ok := p.(*plain); ok {
		return x.dr.drained
	}
	return iops
}

func (r rate) title() string { return fmt.Sprintf("%s-%s-qd%d", r.variant, r.load.name, r.load.depth) }

func (b *bench) benchVariant(e *engine, p opponent, v variant, n uint32, all []rate) (*driver, error) {
	u, err := v.make(e, n, span)
	if err != nil {
		return nil, err
	}
	dr := &driver{u: u, buffers: e.buffers, span: span, seed: uint64(n) << 32}
	if err := dr.fill(); err != nil {
		return nil, err
	}
	if err := e.pool.Flush(array.MakeGroupID(system, n)); err != nil {
		return nil, err
	}
	if v.aged != nil {
		if err := v.aged(e, u); err != nil {
			return nil, err
		}
	}
	for _, r := range all {
		if r.variant != v.name {
			continue
		}
		if err := b.compare(&plain{e, dr, array.MakeGroupID(system, n)}, p, r); err != nil {
			return nil, fmt.Errorf("%s: %w", r.title(), err)
		}
	}
	return dr, nil
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

// compare lets a volume and its opponent work by turns. What is left for later must not
// disturb the other one.
func (b *bench) compare(us *plain, p opponent, r rate) error {
	var ours, drained, peers, peersDrained []float64
	unit := ""
	for round := range b.rounds {
		one, cpu, err := us.run(r.load, b.time)
		if err != nil {
			return err
		}
		other, otherCPU, err := p.run(r.load, b.time)
		if err != nil {
			return err
		}
		all, otherAll := us.dr.drained, drainedOf(p, other)
		for _, v := range []*float64{&one, &all, &other, &otherAll} {
			*v, unit = r.load.value(*v)
		}
		ours, drained, peers, peersDrained = append(ours, one), append(drained, all), append(peers, other), append(peersDrained, otherAll)
		b.note("%s round %d: %.0f %s (%d us of the processors each, the slowest took %d ms), with all on pages %.0f; beside it %.0f (%d us each)",
			r.title(), round+1, one, unit, cpu.Microseconds(), us.dr.slowest.Milliseconds(), all, other, otherCPU.Microseconds())
	}
	if n := us.dr.busy.Swap(0); n > 0 {
		b.note("%s: %d commands were answered BUSY", r.title(), n)
	}
	b.lines = append(b.lines, report.Compared(r.title(), unit, ours, peers, report.Budget{Sense: report.AtLeast, Limit: r.least}))
	if r.drained > 0 {
		b.lines = append(b.lines, report.Compared(r.title()+"-drained", unit, drained, peersDrained, report.Budget{Sense: report.AtLeast, Limit: r.drained}))
	}
	return us.e.failure()
}
