// SPDX-License-Identifier: Apache-2.0

package volume

// Room returns what is taken of the room in which a thin volume takes its pages, and how
// much that is at most, in bytes; false for a volume whose pages are set aside.
func (v *Volume) Room() (used, most int64, thin bool) {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	if v.p.full[v.id] > 0 {
		return 0, 0, false
	}
	return (v.p.units.used + v.p.aside) * unitSize, v.p.ceiling() * unitSize, true
}
