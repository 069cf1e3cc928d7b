// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/event"
)

// stand are the alerts, as "state severity kind object", those that are fixed last.
func (a *testArray) stand() string {
	var lasts, fixed []string
	for _, x := range a.Alerts() {
		text := fmt.Sprintf("%s %s %s", x.State(), x.Severity, alertType(x))
		if x.State() == event.Fixed {
			fixed = append(fixed, text)
			continue
		}
		lasts = append(lasts, text)
	}
	return strings.Join(append(lasts, fixed...), "; ")
}

func (a *testArray) alert(want string) {
	a.t.Helper()
	a.until("alerts "+want, func() bool { return strings.Contains(a.stand(), want) })
}

// look takes looks one after another, as the watch does.
func (a *testArray) look(count int) {
	for range count {
		a.lookAt(a.conditions(), patienceAtStart)
	}
}

// events is how many events begin so, after the name of a group.
func (a *testArray) events(text string) (count int) {
	for _, e := range a.Events() {
		if strings.HasPrefix(strings.TrimPrefix(e.Text, "group g: "), text) {
			count++
		}
	}
	return count
}

// alone waits until a serves the group without the other array.
func (a *testArray) alone() {
	a.t.Helper()
	a.until("g to be served here alone", func() bool {
		f, err := a.Group("g")
		return err == nil && f.ServedHere && f.Sync != "Synced"
	})
}

// whole waits until the pair is again what it was, and its alerts have ended.
func (a *testArray) whole(b *testArray) {
	a.t.Helper()
	a.until("g to be in sync", func() bool {
		f, err := a.Group("g")
		return err == nil && f.Sync == "Synced" && a.reachable() && b.reachable()
	})
	a.look(goneFor)
	a.until("all alerts to have ended", func() bool { return !strings.Contains(a.stand(), "New") })
}

func paired(t *testing.T) (a, b *testArray) {
	arrays := openArrays(t, 2, nil)
	a, b = arrays[0], arrays[1]
	a.run("creatercopygroup", "g", "array-b:sync")
	a.run("admitrcopyvv", "-createvv", "-size", "64", "v", "g")
	a.run("startrcopygroup", "-wait", "g")
	a.until("the links", func() bool {
		return a.events("link 1 to array array-b is up") > 0 && b.events("link 1 to array array-a is up") > 0
	})
	return a, b
}

// TestAlertsOfALostArray begin once, stay over a restart, and end when it is back.
func TestAlertsOfALostArray(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	b.Close()
	a.alert("New Major silence")
	a.alert("New Minor link 1")
	a.alone()
	a.look(patience + 1)
	a.alert("New Major group g")
	before := a.Alerts()
	a.Close()
	a.open()
	a.alone()
	a.look(patienceAtStart + 1)
	a.alert("New Major silence")
	if now := a.Alerts(); len(now) != len(before) {
		t.Errorf("alerts before the restart:\n%v\nafter it:\n%v", before, now)
	}
	b.open()
	a.whole(b)
	for _, text := range []string{"the other array fell silent", "link 1 to array array-b is down", "group g is not protected: only"} {
		if n := a.events(text); n != 1 {
			t.Errorf("%d events %q: %v", n, text, a.Events())
		}
	}
	for _, e := range a.Events() {
		if e.Mark != "" && e.Alert == 0 || e.Mark == event.Ended && e.Severity != event.Informational {
			t.Errorf("%+v", e)
		}
	}
}

// TestAnOrderlyShutdownIsNoAlarm: what follows from it is informational, on both arrays, also
// after a restart of the one that stays.
func TestAnOrderlyShutdownIsNoAlarm(t *testing.T) {
	long(t)
	t.Parallel()
	a, b := paired(t)
	if err := b.Leave(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	a.alert("New Informational silence")
	a.alert("New Informational link 1")
	a.alone()
	a.look(patience + 1)
	a.alert("New Informational group g")
	a.Close()
	a.open()
	a.alone()
	a.look(2 * patienceAtStart)
	if text := a.stand(); strings.Contains(text, "Major") || strings.Contains(text, "Minor") {
		t.Error(text)
	}
	b.open()
	a.whole(b)
	for _, x := range []*testArray{a, b} {
		for _, e := range x.Events() {
			if e.Severity == event.Major {
				t.Errorf("%s: %+v", x.cfg.Name, e)
			}
		}
	}
	b.Close() // not in order: it is told as what it is
	a.alert("New Major silence")
}

// TestAGroupThatAPersonStopped is no alert; one that is stopped by a failure is.
func TestAGroupThatAPersonStopped(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	a.run("stoprcopygroup", "-f", "g")
	for _, x := range []*testArray{a, b} {
		x.look(2 * patienceAtStart)
		if text := x.stand(); text != "" {
			t.Errorf("%s: %s", x.cfg.Name, text)
		}
	}
}

// TestAMembershipIsToldOnce, however often its record is made anew.
func TestAMembershipIsToldOnce(t *testing.T) {
	t.Parallel()
	a, b := paired(t)
	a.run("setrcopygroup", "switchover", "g")
	a.until("the privilege to follow", func() bool { return a.events("array array-b is chosen in advance to go on alone") > 0 })
	b.until("it to be learned", func() bool { return b.events("array array-b is chosen in advance to go on alone") > 0 })
	for _, x := range []*testArray{a, b} {
		if n := x.events("membership {A,B}"); n != 1 {
			t.Errorf("%s: %d times: %v", x.cfg.Name, n, x.Events())
		}
	}
}

// TestPagesAndCertificatesAreAlerts, and end when there is no reason any more.
func TestPagesAndCertificatesAreAlerts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	arrays := openArrays(t, 1, func(c *Config) { c.Clock = func() time.Time { return now } })
	a := arrays[0]
	a.run("createvv", "cpg0", "v", "64")
	v := a.stored("v").ID
	a.unrepaired(v, 7, "group v: volume v page 7 is damaged")
	a.unrepaired(v+100, 7, "group w: volume w page 7 is damaged") // of a volume that is gone
	a.unrepaired(v, 8, "group v: volume v page 8 is damaged")
	a.unrepaired(v, 8, "")
	if text, want := a.stand(), fmt.Sprintf("New Major page %d/7; New Major page %d/7; Fixed Major page %d/8", v, v+100, v); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	a.lookAtPages(t.Context())
	if text := a.stand(); strings.Contains(text, "New") {
		t.Error(text)
	}
	for _, step := range []struct {
		left time.Duration
		want string
	}{{24 * time.Hour, "New Minor certificate identity"}, {-time.Hour, "New Major certificate identity"}, {5 * 365 * 24 * time.Hour, "Fixed Major certificate identity"}} {
		now = a.ident.Certificate().NotAfter.Add(-step.left)
		a.lookAtCertificates()
		if text := a.stand(); !strings.Contains(text, step.want) {
			t.Errorf("%v before its end: %s", step.left, text)
		}
	}
}
