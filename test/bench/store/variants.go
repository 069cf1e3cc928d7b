// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/group"
	"github.com/perdure/perdure/internal/volume"
)

// variant is a kind of volume that the loads are put on. Another kind is one more row
// of variants, and its rows in rates.
type variant struct {
	name string
	// make makes volume n of the size as a group of its own and serves it.
	make func(e *engine, n uint32, size int64) (*group.Unit, error)
	// aged, if set, is called when all of the volume was written.
	aged func(e *engine, u *group.Unit) error
}

func variants() []variant {
	return []variant{
		{name: "thin", make: stored(volume.VolumeSpec{})},
		{name: "full", make: stored(volume.VolumeSpec{Provisioning: volume.Full})},
		{name: "packed", make: stored(volume.VolumeSpec{Compress: true})},
		{name: "dedup", make: stored(volume.VolumeSpec{Provisioning: volume.Dedup})},
		{name: "snapshots", make: stored(volume.VolumeSpec{}), aged: hundredSnapshots},
	}
}

// stored makes an un-mirrored volume as createvv makes it.
func stored(s volume.VolumeSpec) func(e *engine, n uint32, size int64) (*group.Unit, error) {
	return func(e *engine, n uint32, size int64) (*group.Unit, error) {
		id := array.MakeGroupID(system, n)
		if err := e.prepare(id, n, size, s); err != nil {
			return nil, err
		}
		units, err := e.start(id, n)
		if err != nil {
			return nil, err
		}
		return units[0], served(units[0])
	}
}

// hundredSnapshots makes a volume's snapshots.
func hundredSnapshots(e *engine, u *group.Unit) error {
	id := u.Identity().Volume
	of := e.pool.Volume(id).Spec().Group
	e.mu.Lock()
	g := e.groups[of]
	e.mu.Unlock()
	for k := range array.VolumeID(100) {
		if err := g.MakeSnapshots([]group.Snapshot{{Of: id, ID: id + 1000 + k}}); err != nil {
			return fmt.Errorf("snapshot %d: %w", k, err)
		}
	}
	return e.pool.Flush(of)
}

// rate is a load on a variant, and how it has to compare: the thin volume with fio, and
// the others with the thin volume, since what people decide about is what they cost
// beside it.
type rate struct {
	variant string
	load    load
	least   float64
	// drained, if set, is the same for all that was written, over the time until the
	// last of it was on pages too: what the engine bears for hours.
	drained float64
}

func rates() []rate {
	write := func(depth int) load {
		return load{name: "write-4k", write: true, random: true, block: 4 << 10, depth: depth}
	}
	stream := func(depth int) load { return load{name: "stream-1m", write: true, block: 1 << 20, depth: depth} }
	read := func(depth int) load { return load{name: "read-4k", random: true, block: 4 << 10, depth: depth} }
	return []rate{
		// At one command outstanding there is nothing to gather: it is the same write and
		// flush of the disk as fio's, and four changes of goroutine beside them.
		{variant: "thin", load: write(1), least: 0.8},
		// A page is four times as long as such a write, and is read before it is written.
		{variant: "thin", load: write(32), least: 1, drained: 0.4},
		{variant: "thin", load: stream(1), least: 0.8, drained: 0.4},
		{variant: "thin", load: stream(4), least: 0.8},
		{variant: "thin", load: read(1), least: 0.8},
		{variant: "thin", load: read(32), least: 0.8},
		// Space that is set aside is all that differs.
		{variant: "full", load: write(32), least: 0.9, drained: 0.9},
		// Each page is packed, or hashed and looked for, before it is put away. That costs
		// at most every second write, and with hashing two of three once memory is full.
		{variant: "packed", load: write(32), least: 0.5, drained: 0.5},
		{variant: "packed", load: read(32), least: 0.7},
		{variant: "dedup", load: write(32), least: 0.5, drained: 0.33},
		// The first write of a page after a snapshot hands the old one on. Who keeps
		// snapshots of a day doesn't expect to see it in reads, and hardly in writes.
		{variant: "snapshots", load: write(32), least: 0.7, drained: 0.5},
		{variant: "snapshots", load: read(32), least: 0.9},
	}
}
