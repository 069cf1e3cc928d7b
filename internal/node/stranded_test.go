// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/block"
)

// TestTwoLineagesOfAPeriodicGroup are an alert on the array that waits for a person's choice, though
// the group is stopped.
func TestTwoLineagesOfAPeriodicGroup(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.until("both to talk of g", func() bool { f, err := a.Group("g"); return err == nil && f.State == "Started" })
	a.run("syncrcopy", "-w", "g")
	a.write("v", 0, filled(block.Page, 'a'))
	a.Close()
	b.until("it to miss array-a", func() bool { return !b.reachable() })
	b.run("setrcopygroup", "failover", "-f", "g")
	a.open()
	a.until("it to know of two lineages", func() bool { return strings.Contains(a.run("status"), "lineage") })
	a.look(patience + 1)
	a.alert("New Major group g")
}

// TestAnAdmissionThatStandsStill is told of, where the volume is and where the group is served: what
// joins is on an array that lost its group to the other one.
func TestAnAdmissionThatStandsStill(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createvv", "cpg0", "w", "64m")
	a.until("w to be served", func() bool { return a.serves(a.stored("w").Group) })
	a.write("w", 0, filled(block.Page, 'w'))
	a.holdCopies()
	a.run("createhost", "h", iqn1)
	a.run("createvlun", "w", "1", "h")
	task, err := a.StartTask(t.Context(), "remote_copy_admit", "w", local("admitrcopyvv", "-createvv", "-wait", "w", "g"))
	if err != nil {
		t.Fatal(err)
	}
	a.refuses("it can have another name when that is over", "setvv", "-name", "w2", "w")
	a.until("w to join", func() bool { f, err := a.Group("g"); return err == nil && len(f.VVs) == 2 })
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" })
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve g", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	a.until("g to be in sync", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && f.Serving == "array-b" })
	const why = "volume w is on array array-a alone, and joins group g, which array array-b serves now: nothing is copied until 'setrcopygroup switchover g' lets array array-a serve it, or 'dismissrcopyvv -f w g' ends the admission"
	a.until("the task to say so", func() bool { f, err := a.Task(task.ID); return err == nil && strings.Contains(f.Text, why) })
	for _, x := range arrays {
		x.look(patience + 1)
		x.alert("New Major admission w")
	}
	b.run("setrcopygroup", "switchover", "g")
	a.until("array-a to serve g", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
	for _, x := range arrays {
		x.look(goneFor)
		x.alert("Fixed Major admission w")
	}
	a.letCopies()
	a.until("w to be in g", func() bool { f, err := a.Task(task.ID); return err == nil && f.Status == TaskDone })
}

// TestADismissalThatStandsStill: the other array serves the group meanwhile, and knows nothing of it;
// the volume may have another name when it goes on.
func TestADismissalThatStandsStill(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.inUse("w")
	a.fullGroup("sync")
	a.run("admitrcopyvv", "-createvv", "-wait", "w", "g")
	a.run("syncrcopy", "-w", "g")
	a.holdCopies()
	task, err := a.StartTask(t.Context(), "remote_copy_dismiss", "w", local("dismissrcopyvv", "-f", "-keepvv", "-wait", "w", "g"))
	if err != nil {
		t.Fatal(err)
	}
	a.until("it to be dismissed", func() bool { _, is, err := a.stayingOf(a.stored("w")); return is && err == nil })
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve g", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	a.until("the task to say so", func() bool {
		f, err := a.Task(task.ID)
		return err == nil && strings.Contains(f.Text, "volume w is to leave group g for array array-a, and array array-b serves the group now")
	})
	a.look(patience + 1)
	a.alert("New Major admission w")
	b.run("setvv", "-name", "w2", "w")
	b.run("setrcopygroup", "switchover", "g")
	a.until("array-a to serve g", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
	a.letCopies()
	a.until("w2 to be alone", func() bool { f, err := a.Task(task.ID); return err == nil && f.Status == TaskDone })
	if f := a.fact("w2"); !f.alone() {
		t.Errorf("w2 is %+v", f)
	}
}
