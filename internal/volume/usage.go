// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/vfs"
)

// usage counts a volume's own entries that are stored, and their units. Units that
// several entries share count for each of them.
type usage struct{ pages, units int64 }

func (u usage) encode() []byte {
	return binary.BigEndian.AppendUint64(numberKey(uint64(u.pages)), uint64(u.units))
}

func decodeUsage(b []byte) (usage, error) {
	if len(b) != 16 {
		return usage{}, array.Errorf(array.Medium, "the map has a usage of %d bytes", len(b))
	}
	return usage{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

func loadUsage(tx *bolt.Tx) (map[array.VolumeID]usage, error) {
	all := map[array.VolumeID]usage{}
	err := tx.Bucket([]byte(usageBucket)).ForEach(func(k, v []byte) error {
		v, err := unseal(usageBucket, k, v, 16)
		if err != nil {
			return err
		}
		u, err := decodeUsage(v)
		if err == nil && len(k) != 8 {
			err = array.Errorf(array.Medium, "the map has a usage key of %d bytes", len(k))
		}
		if err == nil {
			all[array.VolumeID(binary.BigEndian.Uint64(k))] = u
		}
		return err
	})
	return all, err
}

// count adds an entry to a volume's usage, or takes it off.
func (e *edit) count(v array.VolumeID, x entry, by int64) {
	if x.kind != stored {
		return
	}
	u, ok := e.use[v]
	if !ok {
		e.p.mu.Lock()
		u = e.p.use[v]
		e.p.mu.Unlock()
	}
	u.pages += by
	u.units += by * int64(x.units())
	e.use[v] = u
}

// Used is what a volume or snapshot takes.
type Used struct {
	// Written is the size of the pages that are its own, Stored what they take on
	// disk. What several share counts for each.
	Written, Stored int64
	// Reserved is what is set aside for it beyond Stored.
	Reserved int64
}

// Used returns what the volume takes of its pool.
func (v *Volume) Used() Used {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	u := v.p.use[v.id]
	return Used{Written: u.pages * block.Page, Stored: u.units * unitSize, Reserved: v.p.reservedFor(v.id) * unitSize}
}

// reservedFor returns the units that are set aside for a fully provisioned volume and
// not used by it. p.mu is held.
func (p *Pool) reservedFor(id array.VolumeID) int64 { return max(0, p.full[id]-p.use[id].units) }

// Capacity is how full a pool is, in bytes.
type Capacity struct {
	// Limit is what it may and can grow to, Used what pages take, Reserved what is set aside
	// for fully provisioned volumes.
	Limit, Used, Reserved int64
	// Cap is what hosts may take of it, at most Limit; see Pool.SetCap.
	Cap int64
	// Written is the size of all pages as the volumes and snapshots see them: more
	// than Used by what sharing, packing and deduplication save.
	Written int64
	// Memory is what is applied and not on pages yet.
	Memory int64
	Ground Ground
}

// Ground is what a page file lies on that grows.
type Ground struct {
	// Disk is its file system, 0 if it does not grow, or that is not known.
	Disk vfs.Disk
	// Spare is what the file system can still give, to this page file or to another, and
	// File what this one has.
	Spare, File int64
}

// Free is what hosts may still take.
func (c Capacity) Free() int64 { return max(0, c.Cap-c.Used-c.Reserved) }

// Together adds up what several pools have. What pools of one file system could each still
// take of it is there once only.
func Together(all ...Capacity) (sum Capacity) {
	type growth struct{ spare, limit, caps int64 }
	disks := map[vfs.Disk]growth{}
	for _, c := range all {
		sum.Used, sum.Reserved = sum.Used+c.Used, sum.Reserved+c.Reserved
		sum.Written, sum.Memory = sum.Written+c.Written, sum.Memory+c.Memory
		// A pool that has more than hosts may take leaves others no less.
		c.Cap = max(c.Cap, c.Used+c.Reserved)
		sum.Limit, sum.Cap = sum.Limit+c.Limit, sum.Cap+c.Cap
		if g := c.Ground; g.Disk != 0 {
			d := disks[g.Disk]
			d.spare = max(d.spare, g.Spare)
			d.limit += max(0, c.Limit-g.File)
			d.caps += max(0, c.Cap-g.File)
			disks[g.Disk] = d
		}
	}
	for _, d := range disks {
		sum.Limit -= max(0, d.limit-d.spare)
		sum.Cap -= max(0, d.caps-d.spare)
	}
	return sum
}

// Capacity returns how full the pool is.
func (p *Pool) Capacity() Capacity {
	p.measure()
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Capacity{Limit: p.units.limit * unitSize, Used: p.units.used * unitSize, Memory: p.overlay, Reserved: p.aside * unitSize, Ground: p.ground}
	c.Cap = p.ceiling() * unitSize
	for _, u := range p.use {
		c.Written += u.pages * block.Page
	}
	return c
}

// recount adds up the units set aside for all volumes. p.mu is held.
func (p *Pool) recount() {
	p.aside = 0
	for id := range p.full {
		p.aside += p.reservedFor(id)
	}
}
