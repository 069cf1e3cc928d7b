// SPDX-License-Identifier: Apache-2.0

package vfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashClone returns the disk as a power cut now would leave it. Each sector
// written since its file's last Sync is kept with a chance of keepPercent, and a
// few are torn inside; each change of a name since the directory's last SyncDir
// is kept or lost whole with the same chance. With 100 the clone is what a killed
// process leaves: everything. The clone depends on rng and the disk only.
func (m *Mem) CrashClone(rng *rand.Rand, keepPercent int) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	clone := &Mem{dirs: map[string]*memDir{}}
	nodes := map[*memNode]*memNode{}
	for _, name := range slices.Sorted(maps.Keys(m.dirs)) {
		names := maps.Clone(m.dirs[name].durable)
		for _, c := range m.dirs[name].pending {
			if kept(rng, keepPercent) {
				c.apply(names)
			}
		}
		d := newMemDir()
		for _, file := range slices.Sorted(maps.Keys(names)) {
			n := names[file]
			if nodes[n] == nil {
				nodes[n] = n.crash(rng, keepPercent)
			}
			d.now[file] = nodes[n]
		}
		d.durable = maps.Clone(d.now)
		clone.dirs[name] = d
	}
	return clone
}

func kept(rng *rand.Rand, percent int) bool { return rng.IntN(100) < percent }

// crash returns what is left of one file.
func (n *memNode) crash(rng *rand.Rand, keepPercent int) *memNode {
	left := &memNode{dirty: map[int64]struct{}{}}
	data := &left.durable
	data.size, data.chunks = n.durable.size, slices.Clone(n.durable.chunks)
	if n.now.size > data.size && kept(rng, keepPercent) {
		data.grow(n.now.size)
	}
	var sector [memSector]byte
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if !kept(rng, keepPercent) {
			continue
		}
		from, to := s*memSector, min((s+1)*memSector, n.now.size)
		if keepPercent < 100 && rng.IntN(16) == 0 {
			to = from + rng.Int64N(to-from)
		}
		data.grow(to)
		n.now.read(sector[:to-from], from)
		data.write(sector[:to-from], from, left)
	}
	data.share(0)
	left.now = content{size: data.size, chunks: slices.Clone(data.chunks)}
	return left
}

// Flip turns over one bit of a file, in memory and on the disk.
func (m *Mem) Flip(name string, bit int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.dir("flip", name)
	if err != nil {
		return err
	}
	n := d.now[base]
	if n == nil || bit/8 >= n.now.size {
		return fmt.Errorf("flip bit %d of %s: no such bit", bit, name)
	}
	n.now.flip(bit)
	if bit/8 < n.durable.size {
		n.durable.flip(bit)
	}
	return nil
}
