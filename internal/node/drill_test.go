// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/store"
)

// TestDrillLeavesOthersAlone ends drills that did not come far, after somebody else gave
// volumes the names that the drill would have given.
func TestDrillLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v0", "g")
	a.run("startrcopygroup", "-wait", "g")
	begun := newDrill("g", nil, []string{"v0"}, b.now())
	begin := func() {
		if err := b.store.Update(func(tx *store.Tx) error { return tables.drills.Put(tx, "g", begun) }); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	b.run("createvv", "cpg0", "d1.g", "64")
	b.write("d1.g", 0, filled(4096, 5))
	b.run("stoprcopydrill", "-f", "g")
	b.has("d1.g", 0, filled(4096, 5))
	b.refuses("has no drill", "stoprcopydrill", "-f", "g")

	// A snapshot of that name, and a volume made from it, are somebody's too.
	b.run("removevv", "-f", "d1.g")
	begin()
	a.run("createsv", "-ro", "d1.g.ro", "v0")
	b.until("the snapshot", func() bool {
		if b.count("d1.g") != 1 {
			return false
		}
		sv := b.stored("d1.g.ro")
		return b.cpgs[sv.CPG].Volume(sv.ID) != nil // it is known a little earlier than it is made
	})
	b.run("createsv", "d1.g", "d1.g.ro")
	b.run("stoprcopydrill", "-f", "g")
	if b.count("d1.g") != 2 {
		t.Error("the end of a drill took what others had made")
	}
}
