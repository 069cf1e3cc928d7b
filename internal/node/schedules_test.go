// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/store"
)

// steppedClock is one that tests step.
type steppedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *steppedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *steppedClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *steppedClock {
	return &steppedClock{now: time.Date(2026, 3, 1, 9, 30, 20, 0, time.UTC)}
}

// names returns the snapshots whose names begin so, in order.
func (a *testArray) names(prefix string) (names []string) {
	a.t.Helper()
	if err := a.store.View(func(t *store.Tx) error {
		return tables.vvs.Each(t, func(_ string, v VV) error {
			if strings.HasPrefix(v.Name, prefix) {
				names = append(names, v.Name)
			}
			return nil
		})
	}); err != nil {
		a.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func (a *testArray) wantNames(prefix string, want ...string) {
	a.t.Helper()
	if got := a.names(prefix); !slices.Equal(got, want) {
		a.t.Errorf("%s has %v, want %v", a.cfg.Name, got, want)
	}
}

func (a *testArray) tick() {
	a.t.Helper()
	a.runSchedules(a.t.Context())
}

// ran wants a schedule to have been carried out so often.
func (a *testArray) ran(name string, want uint64) {
	a.t.Helper()
	if s, err := a.schedule(name); err != nil || s.Runs != want {
		a.t.Errorf("schedule %s ran %d times, want %d: %v", name, s.Runs, want, err)
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	clock := newClock()
	a := openArrays(t, 1, func(c *Config) { c.Clock = clock.Now })[0]
	a.run("createvv", "cpg0", "v", "1")
	a.run("createvv", "cpg0", "w", "1")
	const command = "createsv -f -ro -exp 2h -retain 1h @vvname@.@y@@m@@d@@H@@M@@S@ v"
	a.refuses("want createsv", "createsched", "removevv -f v", "@hourly", "s")
	a.refuses("want minute", "createsched", command, "TZ=x", "s")
	a.refuses("schedule", "createsched", command, "61 * * * *", "s")
	a.refuses("does not exist", "createsched", "createsv -ro x none", "@hourly", "s")
	a.refuses("another group", "createsched", "creategroupsv -ro @s@:v x:w", "@hourly", "s")
	a.refuses("snapshot name", "createsched", "createsv -ro @nonsense@ v", "@hourly", "s")
	a.refuses("schedule name", "createsched", command, "@hourly", "a/b")
	a.run("createsched", command, "*/15 * * * *", "s")
	a.refuses("exists already", "createsched", command, "@hourly", "s")
	a.refuses("is in schedule s", "removevv", "-f", "v")

	a.tick()
	a.wantNames("v.")
	clock.step(14 * time.Minute) // 9:44:20
	a.tick()
	a.wantNames("v.")
	clock.step(time.Minute)
	a.tick()
	a.tick()
	a.wantNames("v.", "v.260301094520")
	if v := a.stored("v.260301094520"); !v.Expires.Equal(clock.Now().Add(2*time.Hour)) || !v.Retain.Equal(clock.Now().Add(time.Hour)) {
		t.Errorf("the snapshot is %+v", v)
	}
	a.ran("s", 1)
	clock.step(-30 * time.Minute) // set back
	for range 30 {
		a.tick()
		clock.step(time.Minute)
	}
	a.tick()
	a.wantNames("v.", "v.260301094520")
	if text := a.run("showeventlog"); strings.Count(text, "the clock has not reached yet") != 1 {
		t.Errorf("a clock that was set back is told as\n%s", text)
	}
	a.ran("s", 1)
	clock.step(50 * time.Hour) // asleep
	a.Close()
	a.open()
	a.until("the volume to be served", func() bool { return a.serves(a.stored("v").Group) })
	a.tick()
	a.tick()
	if n := len(a.names("v.")); n != 2 {
		t.Errorf("after two days %d snapshots, want one more than one", n)
	}
	a.ran("s", 2)
	if text := a.run("showsched"); !strings.Contains(text, "*/15") || !strings.Contains(text, "2026-03-03 12:00 UTC") {
		t.Errorf("showsched says\n%s", text)
	}

	a.run("setsched", "-suspend", "s")
	clock.step(time.Hour)
	a.tick()
	a.run("setsched", "-resume", "-s", "0 * * * *", "s")
	a.tick()
	if n := len(a.names("v.")); n != 2 {
		t.Errorf("a suspended schedule made %d snapshots", n)
	}
	clock.step(time.Hour)
	a.tick()
	if n := len(a.names("v.")); n != 3 {
		t.Errorf("a resumed schedule made %d snapshots, want 3", n)
	}
	a.refuses("does not exist", "setsched", "-suspend", "none")
	a.refuses("want -s", "setsched", "s")
	a.run("removesched", "-f", "s")
	a.refuses("does not exist", "removesched", "-f", "s")
}

// TestAFailedRun is told, and is not repeated in the same minute.
func TestAFailedRun(t *testing.T) {
	t.Parallel()
	clock := newClock()
	a := openArrays(t, 1, func(c *Config) { c.Clock = clock.Now })[0]
	a.run("createvv", "cpg0", "v", "1")
	a.run("createsv", "-ro", "taken", "v")
	a.run("createsched", "createsv -ro taken v", "* * * * *", "s")
	clock.step(time.Minute)
	a.tick()
	a.tick()
	if text := a.run("showeventlog"); strings.Count(text, "schedule s: createsv -ro taken v: volume taken exists already") != 1 {
		t.Errorf("the events are\n%s", text)
	}
}

// TestScheduleOfAPair: a schedule runs once, where the group is served, and goes on when
// that array is gone.
func TestScheduleOfAPair(t *testing.T) {
	t.Parallel()
	clock := newClock()
	arrays := openArrays(t, 2, func(c *Config) { c.Clock = clock.Now })
	a, b := arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "1", "v.0", "g")
	a.run("admitrcopyvv", "-createvv", "-size", "1", "v.1", "g")
	a.run("startrcopygroup", "-wait", "g")
	b.run("createsched", "creategroupsv -ro s@vvname@.@H@@M@:v.0 s@vvname@.@H@@M@:v.1", "* * * * *", "s") // passed on
	both := func() { a.tick(); b.tick(); a.tick() }
	both()
	clock.step(time.Minute)
	both()
	a.wantNames("sv", "sv.0.0931", "sv.1.0931")
	b.wantNames("sv", "sv.0.0931", "sv.1.0931")
	a.run("setrcopygroup", "switchover", "g")
	g := b.stored("v.0").Group
	b.until("array-b to serve", func() bool { return b.serves(g) })
	both()
	a.wantNames("sv", "sv.0.0931", "sv.1.0931")
	clock.step(time.Minute)
	both()
	b.wantNames("sv", "sv.0.0931", "sv.0.0932", "sv.1.0931", "sv.1.0932")

	// Without the other array, which hears of it when it is back.
	a.run("setrcopygroup", "switchover", "g")
	a.until("array-a to serve", func() bool { return a.serves(g) })
	a.until("array-a to be the one that may go on alone", func() bool { return strings.Contains(a.run("explain", "g"), "A chosen in advance\n") })
	b.Close()
	a.until("array-a to go on alone", func() bool { return !a.reachable() && a.serves(g) })
	clock.step(time.Minute)
	a.tick()
	b.open()
	a.until("array-b to hear of it", func() bool { s, err := b.schedule("s"); return err == nil && s.Runs == 3 })
	b.tick()
	a.wantNames("sv", "sv.0.0931", "sv.0.0932", "sv.0.0933", "sv.1.0931", "sv.1.0932", "sv.1.0933")
	b.until("array-b to reach the other", b.reachable)
	b.run("removesched", "-f", "s") // passed on
	if _, err := a.schedule("s"); err == nil {
		t.Error("a removed schedule is left on the other array")
	}
}
