// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
	"github.com/perdure/perdure/internal/progress"
)

// ended begins a task, and returns it when it is over.
func (a *testArray) ended(k keptTask, do work) TaskFact {
	a.t.Helper()
	k.Kind, k.Name = "check_vv", "x"
	f, err := a.goOn(k, do)
	if err == nil {
		f, err = a.WaitTask(a.t.Context(), f.ID)
	}
	if err != nil || f.Active() {
		a.t.Fatalf("%+v, %v", f, err)
	}
	return f
}

// TestATaskActsAsItsUserMayNow: a command that is given again after a restart is not given in the
// name of who is gone, or may not give it any more.
func TestATaskActsAsItsUserMayNow(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	again := func() TaskFact {
		k := keptTask{By: Caller{User: "ann", Grants: people.Grants{Role: people.Super}}, Words: []string{"createvv", "cpg0", "v", "16"}}
		return a.ended(k, a.givenAgain(k))
	}
	if f := again(); f.Status != TaskFailed || !strings.Contains(f.Text, "in the name of who asked for it: user ann does not exist") {
		t.Errorf("%+v", f)
	}
	a.run("createuser", "-nopassword", "ann", "all", "browse")
	if f := again(); f.Status != TaskFailed || !strings.Contains(f.Text, `user ann has the role browse, which lacks the right "create"`) {
		t.Errorf("%+v", f)
	}
	a.run("setuser", "-role", "create", "ann")
	if f := again(); f.Status != TaskDone {
		t.Errorf("%+v", f)
	}
}

// TestATaskTellsNothingOfOtherDomains: others who see it read what came of it.
func TestATaskTellsNothingOfOtherDomains(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	a.run("createdomain", "shop")
	a.run("createdomain", "office")
	a.run("createhost", "-domain", "office", "desk", iqn1)
	ann := Caller{User: "ann", Grants: people.Grants{}.With("shop", people.Edit)}
	f := a.ended(keptTask{By: ann}, func(context.Context, func(progress.Step)) (string, error) {
		return "", array.Errorf(array.Conflict, "host desk has it")
	})
	if f.Status != TaskFailed || strings.Contains(f.Text, "desk") || !strings.Contains(f.Text, elsewhereWord) || len(a.told("host desk")) > 0 {
		t.Errorf("%+v", f)
	}
}

// TestADefectEndsItsTaskOnly, and one that was cancelled before it was resumed is not resumed.
func TestADefectEndsItsTaskOnly(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, quick)[0]
	f := a.ended(keptTask{}, func(context.Context, func(progress.Step)) (string, error) { panic("no such thing") })
	if f.Status != TaskFailed || !strings.Contains(f.Text, "check_vv failed in the array array-a: no such thing") {
		t.Errorf("%+v", f)
	}
	x := &task{keptTask: keptTask{TaskFact: TaskFact{ID: 77, Kind: "check_vv", Name: "g", Status: TaskActive}, Words: []string{"verify", "g"}}, stop: func() {}, ended: make(chan struct{})}
	a.tasks.add(x)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := a.CancelTask(gone, local().By, 77); array.KindOf(err) != array.Busy {
		t.Fatal(err)
	}
	a.resumeTasks()
	<-x.ended
	if f, err := a.Task(77); err != nil || f.Status != TaskCancelled {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestNobodyCommandsAnArrayThatLeaves: what it handed over is not brought back by a command that
// came late; who only looks is answered.
func TestNobodyCommandsAnArrayThatLeaves(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, quick)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "16m", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	if err := a.Leave(); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"setrcopygroup", "recover", "g"}, {"createvv", "cpg0", "w", "16"}} {
		if _, err := a.runHere(t.Context(), Asked{By: local().By, Words: words}); array.KindOf(err) != array.Unavailable || !strings.Contains(err.Error(), "array array-a is shutting down") {
			t.Errorf("%v: %v", words, err)
		}
	}
	a.run("showvv")
	b.until("it to serve", func() bool { f, err := b.Group("g"); return err == nil && f.ServedHere })
	if _, err := b.Run(t.Context(), []string{"createvv", "cpg0", "w", "16"}); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
