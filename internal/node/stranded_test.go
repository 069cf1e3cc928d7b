// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
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
	const taken = "volume w of array array-a is being admitted to group g: 'dismissrcopyvv -f w g' ends that"
	b.refuses(taken, "createvv", "cpg0", "w", "16m")
	b.refuses(taken, "createsv", "-ro", "w", "v")
	b.run("setrcopygroup", "switchover", "g")
	a.until("array-a to serve g", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
	for _, x := range arrays {
		x.look(goneFor)
		x.alert("Fixed Major admission w")
	}
	a.letCopies()
	a.until("w to be in g", func() bool { f, err := a.Task(task.ID); return err == nil && f.Status == TaskDone })
}

// TestAnAdmissionThatStandsStillIsEnded by either array, and by its task: the volume stays where it is, with
// what it holds, and nothing of it is left on the other array.
func TestAnAdmissionThatStandsStillIsEnded(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("createhost", "h", iqn1)
	for n, end := range []func(task uint64){
		func(uint64) { a.run("dismissrcopyvv", "-f", "w0", "g") },
		func(uint64) { b.run("dismissrcopyvv", "-f", "w1", "g") },
		func(task uint64) { a.run("canceltask", "-f", fmt.Sprint(task)) },
	} {
		w := fmt.Sprint("w", n)
		a.run("createvv", "cpg0", w, "64m")
		a.until("it to be served", func() bool { return a.serves(a.stored(w).Group) })
		a.write(w, 0, filled(block.Page, 'w'))
		a.holdCopies()
		a.run("createvlun", w, fmt.Sprint(n+1), "h")
		a.run("admitrcopyvv", "-createvv", w, "g")
		task := a.ofKind(kindJoin)
		synced := func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && len(f.VVs) == 2 }
		a.until("it to join", synced)
		a.run("setrcopygroup", "switchover", "g")
		b.until("array-b to serve g", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
		end(task.ID)
		a.letCopies()
		a.until("the task to end", func() bool { f, err := a.Task(task.ID); return err == nil && !f.Active() })
		if f, err := a.Task(task.ID); err != nil || f.Status == TaskDone || n == 2 && f.Status != TaskCancelled {
			t.Errorf("the task of %s is %+v, %v", w, f, err)
		}
		b.run("setrcopygroup", "switchover", "g")
		a.until("array-a to serve g", func() bool { f, err := a.Group("g"); return err == nil && f.ServedHere })
		a.has(w, 0, filled(block.Page, 'w'))
		for _, x := range arrays {
			if f, err := x.Group("g"); err != nil || len(f.VVs) != 1 {
				t.Errorf("%s: group g has %d volumes, %v", x.cfg.Name, len(f.VVs), err)
			}
		}
	}
	if n := a.sees(iqn1); n != 3 {
		t.Errorf("the host sees %d volumes", n)
	}
}

// TestCancelledInVain: a task that can't be cancelled is not.
func TestCancelledInVain(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	arrays := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name == "array-a" {
			c.Exchange = func(_ context.Context, ask func() ([]byte, error)) ([]byte, error) {
				if cut.Load() {
					return nil, errCut
				}
				return ask()
			}
		}
	})
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.inUse("w")
	a.holdCopies()
	a.run("admitrcopyvv", "-createvv", "w", "g")
	task := a.ofKind(kindJoin)
	a.until("it to join", func() bool { f, err := a.Group("g"); return err == nil && f.Sync == "Synced" && len(f.VVs) == 2 })
	a.run("setrcopygroup", "switchover", "g")
	b.until("array-b to serve g", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	cut.Store(true)
	a.refuses(fmt.Sprintf("task %d goes on", task.ID), "canceltask", "-f", fmt.Sprint(task.ID))
	if f, err := a.Task(task.ID); err != nil || !f.Active() {
		t.Errorf("the task is %+v, %v", f, err)
	}
	cut.Store(false)
	a.letCopies()
	b.run("setrcopygroup", "switchover", "g")
	a.until("w to be in g", func() bool { f, err := a.Task(task.ID); return err == nil && f.Status == TaskDone })
}

// TestRefusedForGood: the other array refuses what the group is now: an alert says so, a command that
// waits for the group ends, and both are over when what is in the way is gone.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	b.Close()
	a.alone()
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "w", "g")
	a.Close()
	b.open()
	b.run("createvv", "cpg0", "w", "16m")
	a.open()
	const why = "the other array does not take what it is now: volume w exists on array array-b and is another one"
	a.refuses(why, "startrcopygroup", "-wait", "g")
	a.look(patience + 1)
	a.alert("New Major group g")
	b.run("setvv", "-name", "w2", "w")
	a.until("the arrays to be in step", inStep(a, "g"))
	a.until("the refusal to be over", func() bool { r, err := a.findGroup("g"); return err == nil && r.whyRefused() == "" })
	a.look(goneFor)
	a.alert("Fixed Major group g")
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
