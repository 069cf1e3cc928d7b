// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
)

// TestStopWhileTheOtherIsAway: Remote Copy is stopped on the array that is there, and the
// other one learns it when it returns; and the same for its start.
func TestStopWhileTheOtherIsAway(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	b.Close()
	a.alone()
	if text := a.run("stoprcopy", "-f", "-stopgroups"); !strings.Contains(text, "hears of it when it returns") {
		t.Errorf("it says %q", text)
	}
	if a.RemoteCopyStarted() {
		t.Error("it is started")
	}
	b.open()
	b.until("it to be known", func() bool { return !b.RemoteCopyStarted() })
	b.refuses("startrcopy", "startrcopygroup", "g")
	a.Close()
	b.until("array-a to be missed", func() bool { return !b.reachable() })
	b.run("startrcopy")
	a.open()
	a.until("it to be known", func() bool { return a.RemoteCopyStarted() })
	a.run("startrcopygroup", "-wait", "g")
}

// TestRemoteCopyStoppedIsTold: on both arrays, as long as it is so.
func TestRemoteCopyStoppedIsTold(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	told := func(x *testArray) (alert, status bool) {
		for range patience + 1 {
			x.lookAt(x.conditions(), 2*patienceAtStart)
		}
		return strings.Contains(x.run("showalert", "-oneline"), "Remote Copy was stopped"), strings.Contains(x.run("status"), "Remote Copy  stopped, until 'startrcopy'")
	}
	for _, stopped := range []bool{false, true, false} {
		if stopped {
			a.run("stoprcopy", "-f", "-stopgroups")
		} else {
			a.run("startrcopy")
		}
		for _, x := range []*testArray{a, b} {
			if alert, status := told(x); alert != stopped || status != stopped {
				t.Errorf("%s: stopped %v, told by showalert %v, by status %v:\n%s", x.cfg.Name, stopped, alert, status, x.run("status"))
			}
		}
	}
}

// TestAGroupOfTheOtherArrayIsStoppedLater: the array that is there can't stop a group which
// the other one went on with; that one does, when it hears of it. What is older counts for
// nothing.
func TestAGroupOfTheOtherArrayIsStoppedLater(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	for _, x := range []*testArray{a, b} {
		if _, err := x.takeService(serviceTell, service{Version: 2, Stopped: true, Groups: true}); err != nil {
			t.Fatal(err)
		}
	}
	a.until("g to be stopped", func() bool {
		i, err := infoNow(a.shared()[0])
		return err == nil && i.Stopped
	})
	for _, old := range []service{{Version: 1}, {Version: 2}} {
		if word, err := a.takeService(serviceTell, old); err != nil || word != serviceStop {
			t.Errorf("after %+v it is %s, %v", old, word, err)
		}
	}
	b.run("startrcopy")
	a.run("startrcopygroup", "-wait", "g")
}

// TestStoppingIsAllOrNothing: if a group can't be stopped, those that were are started again.
func TestStoppingIsAllOrNothing(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	var a *testArray
	as := openArrays(t, 2, func(c *Config) {
		quick(c)
		if c.Name != "array-a" {
			return
		}
		c.Exchange = func(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
			if ctx.Value(stoppable{}) != nil && cut.Load() {
				return nil, errCut
			}
			return ask()
		}
	})
	a, b := as[0], as[1]
	for _, g := range []string{"g1", "g2"} {
		a.run("creatercopygroup", g, "array-b:sync")
		a.run("admitrcopyvv", "-createvv", "-size", "16m", "v"+g, g)
		a.run("startrcopygroup", "-wait", g)
	}
	b.run("setrcopygroup", "switchover", "g2")
	b.until("array-b to serve", func() bool { return b.serves(b.stored("vg2").Group) })
	cut.Store(true)
	if text, err := a.Run(context.WithValue(t.Context(), stoppable{}, true), []string{"stoprcopy", "-f", "-stopgroups"}); err == nil || !strings.Contains(err.Error(), "Remote Copy goes on") {
		t.Errorf("%q, %v", text, err)
	}
	cut.Store(false)
	for _, x := range as {
		if !x.RemoteCopyStarted() {
			t.Errorf("it is stopped on %s", x.cfg.Name)
		}
	}
	a.until("both groups to go on", func() bool {
		for _, g := range []string{"g1", "g2"} {
			f, err := a.Group(g)
			if err != nil || f.Sync != "Synced" {
				return false
			}
		}
		return true
	})
}
