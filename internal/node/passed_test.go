// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"sync"
	"testing"

	"github.com/perdure/perdure/internal/progress"
)

// TestATaskPassedOn: the task of a command that the other array carries out is as far as that
// is, and where it is cancelled that ends too.
func TestATaskPassedOn(t *testing.T) {
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	b.until("array-b to know who serves it", func() bool { r, err := b.findGroup("g"); return err == nil && b.elsewhere(r) })
	under := func(f func(*passedOn)) (count int) {
		a.passed.mu.Lock()
		defer a.passed.mu.Unlock()
		for _, on := range a.passed.all {
			f(on)
		}
		return len(a.passed.all)
	}
	a.command.Lock() // so that the command waits for its turn
	unlock := sync.OnceFunc(a.command.Unlock)
	defer unlock()
	task, err := b.StartTask(t.Context(), "remote_copy_sync", "g", local("setrcopygroup", "pol", "no_auto_recover", "g"))
	if err != nil {
		t.Fatal(err)
	}
	step := progress.Step{What: "sync of group g", Percent: 45, Text: "well"}
	a.until("the command to come", func() bool { return under(func(on *passedOn) { on.step = &step }) == 1 })
	b.until("the task to be as far as it is", func() bool {
		f, err := b.Task(task.ID)
		return err == nil && f.Percent == 45
	})
	b.run("canceltask", "-f", fmt.Sprint(task.ID))
	unlock()
	a.until("the command to end", func() bool { return under(func(*passedOn) {}) == 0 })
	if g, err := a.Group("g"); err != nil || !g.Policies.AutoRecover {
		t.Errorf("it was carried out after it was cancelled: %v", err)
	}
}

// TestWhatTheOtherArrayLacks: a command that the array which serves the group carries out says of
// a volume which that one lacks where it is.
func TestWhatTheOtherArrayLacks(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	b.run("creatercopygroup", "g", "array-a:sync")
	b.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	b.run("startrcopygroup", "-wait", "g")
	a.run("createvv", "cpg0", "small", "64")
	a.refuses("it is on array array-a alone, and array array-b carries the command out", "createvvcopy", "-p", "small", "v")
	a.refuses("volume none does not exist", "createvvcopy", "-p", "none", "v")
}
