// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// TestALUNThatIsFreeOnBothArrays: each array has a volume of its own that the host sees.
func TestALUNThatIsFreeOnBothArrays(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createhost", "h", "iqn.2026-01.x:h")
	a.run("createhost", "i", "iqn.2026-01.x:i")
	for _, x := range []struct {
		on      *testArray
		vv, lun string
	}{{a, "here", "0"}, {b, "there1", "1"}, {b, "there2", "2"}} {
		x.on.run("createvv", "cpg0", x.vv, "64")
		x.on.run("createvlun", x.vv, x.lun, "h")
	}
	a.refuses("LUN 1 is taken on array array-b: initiator iqn.2026-01.x:h sees volume there1 at it, exported to h, and would see volume v, exported to h", "createvlun", "v", "1", "h")
	a.refuses("LUN 0 of h is taken", "createvlun", "v", "0", "h")
	a.says("volume v is LUN 3 of h", "createvlun", "v", "auto", "h")
	b.says("volume v is LUN 0 of i", "createvlun", "v", "auto", "i")

	b.run("createvv", "cpg0", "there3", "64")
	b.says("volume there3 is LUN 0 of h", "createvlun", "there3", "auto", "h") // of this array alone
	b.Close()
	a.until("b to be lost", func() bool { return !a.reachable() })
	if luns, err := a.takenThere(t.Context(), "h"); err != nil || len(luns) != 0 {
		t.Errorf("LUNs of an array that is away: %v, %v", luns, err)
	}
}

// TestTooManyInitiators: what the other array asks is bounded.
func TestTooManyInitiators(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	if _, err := a.takenLUNs(lunQuestion{Initiators: make([]string, maxAsked+1)}); err == nil {
		t.Error("it was answered")
	}
}
