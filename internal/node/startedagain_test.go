// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// TestAGroupStartedAgainGoesOnWithBoth: the array that began while the group was stopped hears
// that it was started. It would leave the other one out as soon as it is made the owner.
func TestAGroupStartedAgainGoesOnWithBoth(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64m", "v", "g")
	a.run("syncrcopy", "-w", "g")
	a.run("stoprcopygroup", "-f", "g")
	b.says("Stopped", "showrcopy", "groups", "g")
	b.Close()
	b.open()
	a.until("b to be back", func() bool { f, err := a.Group("g"); return err == nil && f.Contact })
	a.run("startrcopygroup", "-wait", "g")
	a.run("setrcopygroup", "switchover", "g")
	b.run("syncrcopy", "-w", "g")
	b.write("v", 0, []byte("by both"))
	r, err := b.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	i, err := r.g.Info()
	if err != nil || i.Stopped || !i.Synced {
		t.Errorf("stopped %v, in sync %v: %v", i.Stopped, i.Synced, err)
	}
}
