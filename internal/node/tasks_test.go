// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/block"
	"github.com/perdure/perdure/internal/progress"
	"github.com/perdure/perdure/internal/store"
)

// ofKind is the newest task of a kind.
func (a *testArray) ofKind(kind string) (f TaskFact) {
	for _, x := range a.Tasks() {
		if x.Kind == kind {
			f = x
		}
	}
	return f
}

// holdCopies lets physical copies come as far as what is durable, and no further, until the
// array is opened again.
func (a *testArray) holdCopies() {
	a.copies.mu.Lock()
	defer a.copies.mu.Unlock()
	for id := range array.VolumeID(copiesAtOnce) {
		a.copies.runs[1<<60+id] = &copyRun{}
	}
}

// TestTasksSurviveRestarts: the history stays, numbers grow, a copy has its task again, a
// command that nobody waited for is given again, and what somebody waited for has failed.
func TestTasksSurviveRestarts(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, nil)
	a := as[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("scrub") // somebody waits, and it is a task
	done := a.ofKind("scrub")
	if done.Status != TaskDone || done.Name != "array-a" || done.User != "root" || !strings.Contains(done.Text, "CPG cpg0 was scrubbed") {
		t.Errorf("a scrub is the task %+v", done)
	}
	a.run("createvv", "cpg0", "from", "64")
	a.run("createvv", "cpg0", "to", "64")
	a.write("from", 5<<20, filled(block.Page, 7))
	a.holdCopies()
	text := a.run("createvvcopy", "-p", "from", "to")
	copied := a.ofKind("vv_copy")
	if want := fmt.Sprintf("child = to, parent = from, task ID = %d", copied.ID); !strings.Contains(text, want) || !copied.Active() {
		t.Errorf("createvvcopy says %q, want %q; the task is %+v", text, want, copied)
	}
	a.until("the task to say how far it is", func() bool { f := a.ofKind("vv_copy"); return f.Phases == copyPhases && f.Phase == phaseSnapshot })
	as[1].Close() // so that a sync waits
	a.until("the other array to be lost", func() bool { g, err := a.Group("g"); return err == nil && g.Sync != "Synced" })
	sync, err := a.StartTask(t.Context(), "remote_copy_sync", "g", local("syncrcopy", "-w", "g"))
	if err != nil {
		t.Fatal(err)
	}
	waiting, gone := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() {
		_, err := a.Do(waiting, local("syncrcopy", "-w", "g"))
		waited <- err
	}()
	a.until("somebody to wait too", func() bool { return a.ofKind("remote_copy_sync").ID > sync.ID })
	left := a.ofKind("remote_copy_sync").ID
	if err := a.store.Update(func(t *store.Tx) error { // as a daemon that is killed leaves it
		k, _, err := tables.tasks.Get(t, store.Key(left))
		k.ID = left + 1
		return orElse(err, tables.tasks.Put(t, store.Key(k.ID), k))
	}); err != nil {
		t.Fatal(err)
	}
	gone()
	if err := <-waited; err == nil {
		t.Error("who went away waited to the end")
	}
	if f, err := a.Task(left); err != nil || f.Status != TaskCancelled || f.Text != "whoever asked for it is gone" {
		t.Errorf("%+v, %v", f, err)
	}
	a.Close()

	a.open()
	if f, err := a.Task(done.ID); err != nil || fmt.Sprint(f) != fmt.Sprint(done) {
		t.Errorf("the history has %+v, %v; want %+v", f, err, done)
	}
	if f, err := a.Task(left + 1); err != nil || f.Status != TaskFailed || f.Text != endedWithArray {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := a.Task(sync.ID); err != nil || !f.Active() || !f.Began.Equal(sync.Began) {
		t.Errorf("a sync that nobody waits for: %+v, %v", f, err)
	}
	if f, err := a.WaitTask(t.Context(), copied.ID); err != nil || f.Status != TaskDone || f.Phase != copyPhases {
		t.Errorf("the copy's task: %+v, %v", f, err)
	}
	a.has("to", 5<<20, filled(block.Page, 7))
	as[1].open()
	if f, err := a.WaitTask(t.Context(), sync.ID); err != nil || f.Status != TaskDone {
		t.Errorf("the sync that was given again: %+v, %v", f, err)
	}
	a.run("scrub")
	if f := a.ofKind("scrub"); f.ID <= left {
		t.Errorf("a new task has the number %d", f.ID)
	}
}

// TestACancelledCopy is halted.
func TestACancelledCopy(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	a.run("createvv", "cpg0", "from", "64")
	a.run("createvv", "cpg0", "to", "64")
	a.holdCopies()
	f, err := a.StartTask(t.Context(), "vv_copy", "to", local("createvvcopy", "-p", "from", "to"))
	if err != nil || len(a.Tasks()) != 1 {
		t.Fatal(err, a.Tasks())
	}
	if err := a.CancelTask(t.Context(), local().By, f.ID); err != nil {
		t.Fatal(err)
	}
	if f, err := a.Task(f.ID); err != nil || f.Status != TaskCancelled {
		t.Errorf("%+v, %v", f, err)
	}
	if v := a.stored("to"); v.Copy.State == copyRuns {
		t.Error("the copy goes on")
	}
}

// TestTasksAreBounded: the oldest that are over are forgotten, on disk too.
func TestTasksAreBounded(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	for range keptTasks + 3 {
		if _, err := a.goOn(keptTask{TaskFact: TaskFact{Kind: "check_vv", Name: "x"}}, func(context.Context, func(progress.Step)) (string, error) {
			return strings.Repeat("ä", maxTaskText), nil
		}); err != nil {
			t.Fatal(err)
		}
		a.until("its end", func() bool { return !a.ofKind("check_vv").Active() })
	}
	all, stored := a.Tasks(), 0
	if len(all) != keptTasks || all[0].ID != 4 || len(all[0].Text) > maxTaskText {
		t.Errorf("%d tasks from %d on, with %d bytes", len(all), all[0].ID, len(all[0].Text))
	}
	if err := a.store.View(func(t *store.Tx) error {
		return tables.tasks.Each(t, func(string, keptTask) error { stored++; return nil })
	}); err != nil || stored != keptTasks {
		t.Errorf("%d are stored, %v", stored, err)
	}
	end := make(chan struct{})
	defer close(end)
	for i := range maxTasks + 1 {
		_, err := a.goOn(keptTask{TaskFact: TaskFact{Kind: "check_vv", Name: "x"}}, func(ctx context.Context, _ func(progress.Step)) (string, error) {
			select {
			case <-end:
			case <-ctx.Done():
			}
			return "", nil
		})
		if full := a.roomForTask() != nil; err != nil || full != (i+1 >= maxTasks) {
			t.Fatalf("%d tasks: %v, full %v", i+1, err, full)
		}
	}
	if _, err := a.StartTask(t.Context(), "check_vv", "x", local("scrub")); array.KindOf(err) != array.Busy {
		t.Errorf("one more: %v", err)
	}
}
