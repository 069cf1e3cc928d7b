// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/perdure/perdure/internal/volume"

// What deduplicated volumes share is stored once, and counted by each of them: their figures
// would add up to more than their CPG has. So each is shown its part of what they take
// together, by what it would take alone.

// shareOut gives each deduplicated volume its part. taken is what the CPGs have stored.
func shareOut(all []VolumeFact, taken map[string]int64) {
	counted, shared := map[string]int64{}, map[string]int64{}
	for _, f := range all {
		counted[f.CPG] += f.Used.Stored
		if f.Provisioning == volume.Dedup {
			shared[f.CPG] += f.Used.Stored
		}
	}
	for i := range all {
		f := &all[i]
		twice := counted[f.CPG] - taken[f.CPG]
		if f.Provisioning != volume.Dedup || twice <= 0 || twice > shared[f.CPG] {
			continue
		}
		part := float64(shared[f.CPG]-twice) / float64(shared[f.CPG])
		f.Used.Stored = int64(part * float64(f.Used.Stored))
	}
}

// taken is what each CPG has stored.
func (n *Node) taken() map[string]int64 {
	all := map[string]int64{}
	for name, p := range n.cpgs {
		all[name] = p.Capacity().Used
	}
	return all
}
