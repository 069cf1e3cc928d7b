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
	data := slices.Clone(n.durable)
	if len(n.now) > len(data) && kept(rng, keepPercent) {
		data = append(data, make([]byte, len(n.now)-len(data))...)
	}
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		if !kept(rng, keepPercent) {
			continue
		}
		from, to := s*memSector, min((s+1)*memSector, int64(len(n.now)))
		if keepPercent < 100 && rng.IntN(16) == 0 {
			to = from + rng.Int64N(to-from)
		}
		if to > int64(len(data)) {
			data = append(data, make([]byte, to-int64(len(data)))...)
		}
		copy(data[from:to], n.now[from:to])
	}
	return &memNode{now: data, durable: slices.Clone(data), dirty: map[int64]struct{}{}}
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
	if n == nil || bit/8 >= int64(len(n.now)) {
		return fmt.Errorf("flip bit %d of %s: no such bit", bit, name)
	}
	n.now[bit/8] ^= 1 << (bit % 8)
	if bit/8 < int64(len(n.durable)) {
		n.durable[bit/8] ^= 1 << (bit % 8)
	}
	return nil
}
