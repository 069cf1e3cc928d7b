// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/volume"
	"github.com/perdure/perdure/test/bench/report"
)

// As many as an array is made for: volumes, and groups that they are in.
const (
	idleVolumes = 10000
	idleGroups  = 1000
)

// benchIdle measures what many volumes cost that nobody uses.
func (b *bench) benchIdle() error {
	if !b.wanted("idle") {
		return nil
	}
	dir := filepath.Join(b.dir, "idle")
	if err := b.makeIdle(dir); err != nil {
		return fmt.Errorf("make %d volumes: %w", idleVolumes, err)
	}
	var memory, took, busy []float64
	for range b.rounds {
		before := inUse()
		began := time.Now()
		e, err := openEngine(dir, smallJournal)
		if err != nil {
			return err
		}
		if err := e.serveIdle(); err != nil {
			_ = e.close()
			return err
		}
		took = append(took, time.Since(began).Seconds())
		memory = append(memory, float64(inUse()-before)/idleVolumes/1024)
		busy = append(busy, idleProcessors())
		if err := e.close(); err != nil {
			return err
		}
	}
	b.lines = append(b.lines,
		report.Alone("idle-volume-memory", "KiB", memory, report.Budget{Sense: report.AtMost, Limit: 64}),
		report.Alone("idle-1000-groups-load", "%", busy, report.Budget{Sense: report.AtMost, Limit: 5}),
		report.Alone("idle-10000-volumes-open", "s", took, report.Budget{Sense: report.AtMost, Limit: 5}))
	return nil
}

// smallJournal is as small as it may be with the usual segments.
const smallJournal = 256 << 20

// inUse is the memory that the program holds and can't give back: heap and stacks.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalised
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// idleProcessors is what the program takes while nobody asks anything, in percent of
// one processor: when the start is over, what it left is on pages, and the journal has
// let go of that. A quiet group looks at the clock each two seconds.
func idleProcessors() float64 {
	time.Sleep(3 * time.Second)
	began, before := time.Now(), processors()
	time.Sleep(4 * time.Second)
	return 100 * (processors() - before).Seconds() / time.Since(began).Seconds()
}

func (b *bench) makeIdle(dir string) error {
	e, err := openEngine(dir, smallJournal)
	if err != nil {
		return err
	}
	began := time.Now()
	for n := range uint32(idleVolumes) {
		if err := e.prepare(groupOfIdle(n), n+1, 1<<40, volume.VolumeSpec{}); err != nil {
			_ = e.close()
			return err
		}
	}
	b.note("%d volumes made in %.1f s", idleVolumes, time.Since(began).Seconds())
	if err := e.serveIdle(); err != nil {
		_ = e.close()
		return err
	}
	return e.close()
}

func groupOfIdle(n uint32) array.GroupID { return array.MakeGroupID(system, n%idleGroups+1) }

// serveIdle opens all groups, and returns when the volumes can be read.
func (e *engine) serveIdle() error {
	for g := range uint32(idleGroups) {
		var members []uint32
		for n := g; n < idleVolumes; n += idleGroups {
			members = append(members, n+1)
		}
		units, err := e.start(groupOfIdle(g), members...)
		if err != nil {
			return err
		}
		if err := served(units[0]); err != nil {
			return err
		}
	}
	return nil
}
