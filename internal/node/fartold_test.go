// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// TestATargetThatWasNotToldOfAnArray: it is said which array of the pair it can't be used from.
func TestATargetThatWasNotToldOfAnArray(t *testing.T) {
	t.Parallel()
	a, b, c := withFarArray(t)
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("startrcopygroup", "-wait", "g")
	c.run("removercopytarget", "-f", "array-b")
	b.until("b to lose it", func() bool { return !b.fars()[0].tie.Reachable() })
	a.run("setrcopygroup", "switchover", "g")
	b.until("b to serve", func() bool { return b.serves(b.shared()[0].rec.ID) })
	a.refuses("array array-b does not reach target far: both arrays of the pair are made known there", "admitrcopytarget", "far", "periodic", "g")
}
