// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/array"
	"github.com/perdure/perdure/internal/people"
)

// because wants a command to fail with a reason.
func (a *testArray) because(want array.Reason, words ...string) {
	a.t.Helper()
	if _, err := a.Run(a.t.Context(), words); err == nil || array.ReasonOf(err) != want {
		a.t.Errorf("%s: %v: %v, reason %v; want %v", a.cfg.Name, words, err, array.ReasonOf(err), want)
	}
}

func (a *testArray) fact(vv string) VolumeFact {
	a.t.Helper()
	f, err := a.Volume(vv)
	if err != nil {
		a.t.Fatal(err)
	}
	return f
}

// TestLabels: what people write of a volume in a group is on both arrays, whichever was
// asked; reasons survive the way from the other array.
func TestLabels(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, nil)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	b.until("v to be known", func() bool { _, err := b.Volume("v"); return err == nil })
	b.run("setvv", "-comment", "of the shop", "-setkv", "app=shop", "v") // carried out by a
	a.run("setvv", "-setkvifnotexist", "tier=1", "v")
	for _, x := range as {
		f := x.fact("v")
		if f.Comment != "of the shop" || f.Keys["app"] != "shop" || f.Keys["tier"] != "1" || f.Group != "g" {
			t.Errorf("%s: %+v", x.cfg.Name, f)
		}
	}
	b.because(array.KeyExists, "setvv", "-setkvifnotexist", "tier=2", "v")
	b.because(array.NoKey, "setvv", "-clrkey", "none", "v")
	b.because(array.NoVolume, "setvv", "-clrkey", "none", "w")
	b.run("setvv", "-clrkey", "tier", "v")
	a.run("setvv", "-name", "w", "v")
	if f := b.fact("w"); len(f.Keys) != 1 || f.WWN != a.fact("w").WWN {
		t.Errorf("%+v", f)
	}
	a.because(array.VolumeExists, "setvv", "-name", "w", "w")
	a.refuses("want 1 to 31", "setvv", "-name", "-x", "w")
}

// TestVolumeSets: a set's volumes are known on both arrays, and stay while they are in it.
func TestVolumeSets(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, nil)
	a, b := as[0], as[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	b.run("createvv", "cpg0", "own", "64")
	b.until("v to be known", func() bool { _, err := b.Volume("v"); return err == nil })
	b.run("createvvset", "-comment", "c", "s", "v", "own")
	members := func(x *testArray) []string {
		sets, err := x.VolumeSets()
		if err != nil || len(sets) != 1 || sets[0].Name != "s" {
			t.Fatalf("%s: %+v, %v", x.cfg.Name, sets, err)
		}
		return sets[0].Members
	}
	if m := members(b); !slices.Equal(m, []string{"own", "v"}) {
		t.Error(m)
	}
	if m := members(a); !slices.Equal(m, []string{"v"}) {
		t.Error(m)
	}
	b.because(array.SetExists, "createvvset", "s")
	b.because(array.MemberTwice, "createvvset", "-add", "s", "v")
	b.because(array.NoVolumeSet, "createvvset", "-add", "none", "v")
	b.because(array.InSet, "removevv", "-f", "own")
	b.because(array.NoMember, "removevvset", "-f", "s", "other")
	b.run("removevvset", "-f", "s", "own")
	b.run("removevv", "-f", "own")
	b.run("removevvset", "-f", "s")
	if sets, err := a.VolumeSets(); err != nil || len(sets) != 0 {
		t.Error(sets, err)
	}
}

// TestHostSets: a set that sees a group's volumes is changed on both arrays.
func TestHostSets(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, nil)
	a, b := as[0], as[1]
	a.run("createhost", "-os", "linux", "h1", "iqn.2026-01.org.example:h1")
	a.run("createhost", "h2", "iqn.2026-01.org.example:h2")
	a.run("createhostset", "s", "h1")
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("createvlun", "v", "auto", "set:s")
	b.run("createhostset", "-add", "-comment", "all", "s", "h2") // carried out by a
	for _, x := range as {
		sets, err := x.HostSets()
		if err != nil || len(sets) != 1 || sets[0].Comment != "all" || !slices.Equal(sets[0].Members, []string{"h1", "h2"}) {
			t.Errorf("%s: %+v, %v", x.cfg.Name, sets, err)
		}
	}
	a.because(array.Exported, "removehostset", "-f", "s")
	a.because(array.NoMember, "removehostset", "-f", "s", "h3")
	a.run("removehostset", "-f", "s", "h2")
	hosts, err := b.Hosts()
	if err != nil || len(hosts) != 2 || !slices.Equal(hosts[0].Sets, []string{"s"}) || hosts[1].Sets != nil || hosts[0].Descriptors["os"] != "linux" {
		t.Errorf("%+v, %v", hosts, err)
	}
	a.run("sethost", "-os", "", "h1")
	a.run("removevlun", "-f", "v", "0", "set:s")
	a.run("removehostset", "-f", "s")
}

// TestRetention: it can be made longer and not shorter.
func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := openArrays(t, 1, func(c *Config) { c.Clock = func() time.Time { return now } })[0]
	a.run("createvv", "cpg0", "v", "64")
	a.run("createsv", "-ro", "-exp", "5d", "s", "v")
	a.run("setvv", "-retain", "2d", "s")
	a.because(array.Retained, "setvv", "-retain", "1d", "s")
	a.because(array.Retained, "setvv", "-exp", "1d", "s")
	a.because(array.Retained, "removevv", "-f", "s")
	a.because(array.NotSnapshot, "setvv", "-exp", "1d", "v")
	a.run("setvv", "-exp", "0", "s")
	if f := a.fact("s"); !f.Expires.IsZero() || !f.Retain.Equal(now.Add(48*time.Hour)) {
		t.Errorf("%+v", f.VV)
	}
}

// local is a command of the array's owner.
func local(words ...string) Asked {
	return Asked{By: CallerOf(people.LocalSession(time.Now()), "test"), Words: words}
}

// TestTasks: a task goes on by itself, can be waited for and cancelled; what is wrong at
// once is told at once.
func TestTasks(t *testing.T) {
	t.Parallel()
	as := openArrays(t, 2, nil)
	a := as[0]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	if _, err := a.StartTask(t.Context(), "verify", "none", local("verify", "none")); array.ReasonOf(err) != array.NoGroup {
		t.Errorf("a group that does not exist: %v", err)
	}
	f, err := a.StartTask(t.Context(), "remote_copy_sync", "g", local("syncrcopy", "-w", "g"))
	if err != nil || f.ID == 0 {
		t.Fatal(err)
	}
	a.until("the sync to be done", func() bool { x, err := a.Task(f.ID); return err == nil && x.Status == TaskDone && x.Percent == 100 })
	as[1].Close() // so that a sync waits
	a.until("the other array to be lost", func() bool { g, err := a.Group("g"); return err == nil && g.Sync != "Synced" })
	w, err := a.StartTask(t.Context(), "remote_copy_sync", "g", local("syncrcopy", "-w", "g"))
	if err != nil {
		t.Fatal(err)
	}
	if w.ID <= f.ID || len(a.Tasks()) != 2 {
		t.Errorf("%+v", a.Tasks())
	}
	if err := a.CancelTask(t.Context(), local().By, w.ID); err != nil {
		t.Fatal(err)
	}
	if x, err := a.Task(w.ID); err != nil || x.Status != TaskCancelled || x.Finished.IsZero() {
		t.Errorf("%+v, %v", x, err)
	}
	if err := a.CancelTask(t.Context(), local().By, w.ID); array.KindOf(err) != array.Conflict {
		t.Errorf("cancelled twice: %v", err)
	}
	as[1].open()
}

// TestEventNumbers grow over restarts, and news wake those who wait.
func TestEventNumbers(t *testing.T) {
	t.Parallel()
	a := openArrays(t, 1, nil)[0]
	c, stop := a.WatchEvents()
	a.event("one")
	<-c
	all := a.EventsAfter(0)
	last := all[len(all)-1]
	if got := a.EventsAfter(last.ID - 1); len(got) != 1 || got[0].Text != "one" {
		t.Errorf("%+v", got)
	}
	if got := a.EventsAfter(last.ID); got != nil {
		t.Errorf("%+v", got)
	}
	stop()
	a.Close()
	a.open()
	a.event("two")
	if got := a.EventsAfter(last.ID); len(got) == 0 || got[len(got)-1].Text != "two" {
		t.Errorf("%+v", got)
	}
}
