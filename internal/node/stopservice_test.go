// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

// TestStoppingIsFinishedAfterADeath: this array ends after some of the groups were stopped for
// stoprcopy. When it is back all are stopped, and Remote Copy with them, on both arrays.
func TestStoppingIsFinishedAfterADeath(t *testing.T) {
	t.Parallel()
	x := openInterrupted(t)
	a, b := x.all[0], x.all[1]
	groups := []string{"g1", "g2", "g3"}
	for _, g := range groups {
		a.run("creatercopygroup", g, "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "16m", "v"+g, g)
		a.run("startrcopygroup", "-wait", g)
	}
	b.run("setrcopygroup", "switchover", "g2") // so that it is asked to stop it
	b.until("array-b to serve", func() bool { return b.serves(b.stored("vg2").Group) })
	a.until("both to know", func() bool { f, err := a.Group("g2"); return err == nil && !f.ServedHere && f.Sync == "Synced" })
	if _, hit := x.play(twoArrayCommand{name: "stop Remote Copy", command: "stoprcopy -f -stopgroups"}, 1, thisDies); !hit {
		t.Fatal("the other array was not asked for anything")
	}
	stopped := func() bool {
		for _, o := range x.all {
			if o.RemoteCopyStarted() {
				return false
			}
			for _, g := range groups {
				r, err := o.findGroup(g)
				if err != nil {
					return false
				}
				if i, err := infoNow(*r); err != nil || !i.Stopped {
					return false
				}
			}
		}
		return true
	}
	a.until("all to be stopped", stopped)
	a.run("startrcopy")
	for _, g := range groups {
		a.run("startrcopygroup", "-wait", g)
	}
	x.check()
}
