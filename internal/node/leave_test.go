// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/perdure/perdure/internal/array"
)

// TestAnArrayLeavesWithoutAWitness: an array that shuts down hands over the group that it serves,
// even one that became whole this moment, and with it the right to go on alone: without a witness
// nobody else could give it.
func TestAnArrayLeavesWithoutAWitness(t *testing.T) {
	t.Parallel()
	for range 3 {
		arrays := openArrays(t, 2, quick)
		a, b := arrays[0], arrays[1]
		a.run("creatercopygroup", "g", "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
		a.run("startrcopygroup", "g")
		r := a.shared()[0]
		for {
			i, err := r.g.Info()
			if err != nil {
				t.Fatal(err)
			}
			if i.Synced {
				break
			}
		}
		if err := a.Leave(); err != nil {
			t.Fatal(err)
		}
		i, err := b.shared()[0].g.Info()
		if err != nil || i.Record.Members != array.OnlyB {
			t.Errorf("the record is %v, %v; want array-b alone in it", i.Record, err)
		}
		b.until("it to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	}
}
