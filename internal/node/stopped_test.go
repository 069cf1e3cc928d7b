// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAStoppedGroupIsNotHandedOver: it is refused at once, and nothing is left that hands the
// group over when somebody starts it.
func TestAStoppedGroupIsNotHandedOver(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	a.run("syncrcopy", "-w", "g")
	a.run("stoprcopygroup", "-f", "g")
	began := time.Now()
	const why = "group g is stopped: 'startrcopygroup g' first, or 'setrcopygroup recover g' after a failover"
	a.refuses(why, "setrcopygroup", "reverse", "g")
	b.refuses(why, "setrcopygroup", "reverse", "g")
	if d := time.Since(began); d > awaitsFor {
		t.Errorf("it took %v to refuse", d)
	}
	a.refuses(why, "syncrcopy", "g")
	b.refuses(why, "syncrcopy", "-w", "g")
	a.says("Stopped", "showrcopy", "groups", "g")
	a.run("startrcopygroup", "-wait", "g")
	if f, err := a.Group("g"); err != nil || !f.ServedHere {
		t.Errorf("g was handed over: %v", err)
	}
	a.run("setrcopygroup", "reverse", "g")
	b.run("stoprcopygroup", "-f", "g")
	a.refuses(why, "setrcopygroup", "restore", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.run("setrcopygroup", "restore", "g")
}

// TestAPointThatCannotBeTaken: what waits for it ends, with why.
func TestAPointThatCannotBeTaken(t *testing.T) {
	long(t)
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	a.refuses("group g: no point can be taken now: it has no volumes", "setrcopygroup", "reverse", "g")
	b.Close()
	a.until("b to be lost", func() bool { f, err := a.Group("g"); return err == nil && !f.Contact })
	a.refuses("group g can't be handed over: array array-b does not answer", "setrcopygroup", "reverse", "g")
}

// TestAGroupStoppedMeanwhile: a command that waits for it ends.
func TestAGroupStoppedMeanwhile(t *testing.T) {
	t.Parallel()
	a, _ := periodic(t)
	a.run("setrcopygroup", "mode", "sync", "array-b", "g")
	a.run("syncrcopy", "-w", "g")
	a.run("stoprcopygroup", "-f", "g")
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	if err := waitSynced(t.Context(), r); err == nil || !strings.Contains(err.Error(), "is stopped") {
		t.Errorf("it waited for a stopped group: %v", err)
	}
}

// TestAHandOverGivenUp: whoever asked for it is gone before the group was handed over.
func TestAHandOverGivenUp(t *testing.T) {
	t.Parallel()
	a, b := periodic(t)
	r, err := a.findGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.handOver(ctx, r); err == nil {
		t.Error("it was handed over")
	}
	a.run("syncrcopy", "-w", "g")
	if f, err := b.Group("g"); err != nil || f.ServedHere {
		t.Errorf("g was handed over: %v", err)
	}
}

// TestACommandPassedOnIsGivenUp: the array that carries it out ends with whoever asked.
func TestACommandPassedOnIsGivenUp(t *testing.T) {
	t.Parallel()
	arrays := openArrays(t, 2, nil)
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:periodic")
	b.until("array-b to know who serves", func() bool { g, err := b.Group("g"); return err == nil && g.Serving == "array-a" && b.reachable() })
	under := func() int {
		a.passed.mu.Lock()
		defer a.passed.mu.Unlock()
		return len(a.passed.all)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	a.command.Lock() // so that the command waits for its turn
	unlock := sync.OnceFunc(a.command.Unlock)
	defer unlock()
	go func() {
		_, err := b.Run(ctx, []string{"setrcopygroup", "pol", "no_auto_recover", "g"})
		done <- err
	}()
	a.until("the command to come", func() bool {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		return under() == 1
	})
	cancel()
	if err := <-done; err == nil {
		t.Error("it was not given up")
	}
	unlock()
	a.until("the command to end", func() bool { return under() == 0 })
	if f, err := a.Group("g"); err != nil || !f.Policies.AutoRecover {
		t.Errorf("it was carried out after it was given up: %v", err)
	}
}
