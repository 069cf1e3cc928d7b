// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/journal"
	"github.com/perdure/perdure/internal/volume"
	"github.com/perdure/perdure/test/bench/report"
)

// recoveries are how many MiB of records there are, and the seconds that a start may
// take with them. A running array leaves little more than a quarter of the overlay's
// limit, 64 MiB, and never more than all of it.
func recoveries() []struct{ mib, seconds float64 } {
	return []struct{ mib, seconds float64 }{{64, 1}, {256, 4}, {1024, 16}}
}

// benchRecovery measures the time from the start after a crash to the first answer,
// with nothing of the records on pages.
func (b *bench) benchRecovery() error {
	for _, r := range recoveries() {
		name := fmt.Sprintf("recovery-%.0fm", r.mib)
		if !b.wanted(name) {
			continue
		}
		// A start puts the records on pages, so each round has an array of its own; one
		// is enough where it takes long.
		rounds := b.rounds
		if r.mib > 64 {
			rounds = 1
		}
		var took []float64
		for round := range rounds {
			t, err := b.recover(filepath.Join(b.dir, fmt.Sprintf("%s-%d", name, round)), int64(r.mib)<<20)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			took = append(took, t.Seconds())
		}
		b.lines = append(b.lines, report.Alone(name, "s", took, report.Budget{Sense: report.AtMost, Limit: r.seconds}))
	}
	return nil
}

func (b *bench) recover(dir string, bytes int64) (time.Duration, error) {
	limit := bytes + bytes/2 + 512<<20
	if err := leaveRecords(dir, limit, bytes); err != nil {
		return 0, err
	}
	began := time.Now()
	e, err := openEngine(dir, limit)
	if err != nil {
		return 0, err
	}
	defer e.close()
	opened := time.Since(began)
	units, err := e.start(crashed, 1)
	if err != nil {
		return 0, err
	}
	started := time.Since(began)
	if err := served(units[0]); err != nil {
		return 0, err
	}
	took := time.Since(began)
	b.note("%d MiB of records: journal and pool open after %.2f s, group after %.2f s, served after %.2f s", bytes>>20, opened.Seconds(), started.Seconds(), took.Seconds())
	return took, nil
}

// crashed is the group whose records are left.
const crashed = array.GroupID(7)

// leaveRecords makes an array whose journal holds random writes of 4 KiB that are on no
// page, as a crash leaves it.
func leaveRecords(dir string, limit, bytes int64) error {
	e, err := openEngine(dir, limit)
	if err != nil {
		return err
	}
	if err := e.prepare(crashed, 1, span, volume.VolumeSpec{}); err != nil {
		return err
	}
	units, err := e.start(crashed, 1)
	if err != nil {
		return err
	}
	if err := served(units[0]); err != nil {
		return err
	}
	g := e.groups[crashed]
	i, err := g.Info()
	if err != nil {
		return err
	}
	g.Close() // what follows goes to the journal alone
	if err := e.appendRecords(i.End, bytes); err != nil {
		_ = e.close()
		return err
	}
	delete(e.groups, crashed)
	return e.close()
}

func (e *engine) appendRecords(at array.Position, bytes int64) error {
	const size = 4096
	rng := rand.New(rand.NewPCG(1, uint64(bytes)))
	var batch []journal.Record
	for n := int64(0); n < bytes; n += size {
		at.Place++
		payload := make([]byte, size)
		for k := 0; k < size; k += 8 {
			binary.LittleEndian.PutUint64(payload[k:], rng.Uint64())
		}
		batch = append(batch, journal.Record{
			Group: crashed, Pos: at, Kind: journal.Data, Volume: array.MakeVolumeID(system, 1),
			Offset: rng.Int64N(span/size) * size, Length: size, Payload: payload,
		})
		if len(batch) == 512 || n+size >= bytes {
			if err := e.jnl.Append(batch...); err != nil {
				return err
			}
			batch = nil
			for e.jnl.Oldest(time.Now()) > 20*time.Millisecond { // not more in memory than a moment's worth
				time.Sleep(time.Millisecond)
			}
		}
	}
	return nil
}

// benchSparse measures how long a pool takes to open that has a large volume of few
// pages, far from each other.
func (b *bench) benchSparse() error {
	if !b.wanted("sparse") {
		return nil
	}
	const pages, size = 8192, 10 << 40
	dir := filepath.Join(b.dir, "sparse")
	e, err := openEngine(dir, smallJournal)
	if err != nil {
		return err
	}
	if err := e.scatter(pages, size); err != nil {
		_ = e.close()
		return fmt.Errorf("scatter pages: %w", err)
	}
	if err := e.close(); err != nil {
		return err
	}
	var took []float64
	for range b.rounds {
		began := time.Now()
		e, err := openEngine(dir, smallJournal)
		if err != nil {
			return err
		}
		units, err := e.start(crashed, 1)
		if err == nil {
			err = served(units[0])
		}
		took = append(took, time.Since(began).Seconds())
		if err := e.close(); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	b.lines = append(b.lines, report.Alone("sparse-10t-open", "s", took, report.Budget{Sense: report.AtMost, Limit: 1}))
	return nil
}

// scatter writes single pages all over a volume.
func (e *engine) scatter(pages, size int64) error {
	if err := e.prepare(crashed, 1, size, volume.VolumeSpec{}); err != nil {
		return err
	}
	if _, err := e.start(crashed, 1); err != nil {
		return err
	}
	v := e.pool.Volume(array.MakeVolumeID(system, 1))
	return scatter(e.pool, v, pages, size)
}

func scatter(p *volume.Pool, v *volume.Volume, pages, size int64) error {
	b := make([]byte, block.Page)
	for n := range pages {
		binary.LittleEndian.PutUint64(b, uint64(n+1))
		err := v.Apply(journal.Record{
			Group: crashed, Pos: array.Position{Epoch: 1, Term: 1, Place: 1}, Kind: journal.Data, Volume: v.Spec().ID,
			Offset: size / pages * n / block.Page * block.Page, Length: block.Page, Payload: b,
		})
		if err != nil {
			return err
		}
	}
	return p.Flush(crashed)
}
